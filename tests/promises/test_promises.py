"""One container of each style, unchanged, through both doors, on each target, each with its expected numbers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.promises.foreign import ROWS, STYLES, WEIGHT, check_promises, foreign_project, loss_of

REGRESSION = ("--regression_test_folder=expected", "--regression_test_csv_tolerance=0.05")


@pytest.mark.parametrize("name", STYLES)
def test_a_process_of_either_door(tmp_path: Path, name: str) -> None:
    style = STYLES[name]
    project = foreign_project(tmp_path, style)
    points = [tmp_path / "mounted" / each for each in ("lungs", "more")]
    mounts = (f"--dataset_mountpoint={points[0]}", f"--extra_dataset_mountpoints={points[1]}")
    two = project.through("old", "--ranks=2", "--output_to=elsewhere", *mounts, *REGRESSION)
    facts = check_promises(two, style)
    assert facts["datasets"] == [str(point) for point in points]
    assert [point for point in points if point.is_symlink()] == []
    assert two.run.parent == tmp_path / "elsewhere"
    one = project.through("new", "--output_to=there", *REGRESSION)
    facts = check_promises(one, style)
    assert facts["datasets"] == [str(tmp_path / "data" / each) for each in ("lungs", "more")]
    assert (one.run.parent, one.weights) == (tmp_path / "there", two.weights)
    strict = REGRESSION[0]
    weights = f"--src_checkpoint={one.run}/checkpoints/best.ckpt"
    failed = project.through("new", "--run_inference_only", weights, strict)
    assert failed.exit_code == 6 and f"line 2 is {WEIGHT}, not {1.04 * WEIGHT}" in failed.stdout + failed.stderr


def test_splits_without_an_index_are_all_folds(tmp_path: Path) -> None:
    project = foreign_project(tmp_path, STYLES["successor"])
    study = project.through("old", "--crossval_count=2", "--random_seed=7")
    assert study.exit_code == 0, study.stderr
    folds = [json.loads(path.read_text()) for path in sorted(study.run.glob("trials/*/run.json"))]
    assert [fold["seed"] for fold in folds] == [7, 8]
    for number, fold in enumerate(folds):
        (path,) = study.run.glob(f"trials/{number:03}/facts.json")
        assert json.loads(path.read_text())["folds"] == [2, number]
        assert fold["metrics"]["test"] == {"test/loss": loss_of(ROWS["test"])}


def test_the_successors_full_evaluation(tmp_path: Path) -> None:
    project = foreign_project(tmp_path, STYLES["successor"])
    trained = project.run(
        "lungs.yaml", "--model_variant=long", "--max_epochs=2"
    )  # the command line wins over a variant
    check_promises(trained, project.style)
    words = (f"--src_checkpoint={trained.run.name}:best.ckpt", "--run_extra_val_epoch=False")
    whole = project.through("old", "--mode=eval_full", *words)
    assert whole.exit_code == 0, whole.stderr
    assert json.loads((whole.run / "metrics.json").read_text())["test"] == {"test/loss": loss_of([10])}
    assert (whole.run / "Test.txt").read_text() == repr(10 * WEIGHT)
    assert not (whole.run / "extra.txt").exists() and not (whole.run / "facts.json").exists()
