"""examples/brain_tissue as its user runs it, in its small form: scores checked apart, and a kill that changes nothing.

What the full form comes to is in the example's README.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.projects import Project, Result

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "brain_tissue"
SUBJECTS = ("sub-04", "sub-05")
TISSUES = {1: "grey_matter", 2: "white_matter"}


@pytest.fixture(scope="module")
def project(needs: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Project:
    needs("torch", "nilearn", "monai")
    folder = tmp_path_factory.mktemp("project") / "brain_tissue"
    left_out = shutil.ignore_patterns("data", "data-small", "outputs", "__pycache__")
    shutil.copytree(EXAMPLE, folder, ignore=left_out)
    command = [sys.executable, "make_subjects.py", "data-small", "--subjects=5", "--voxel=4"]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return Project(folder)


@pytest.fixture(scope="module")
def result(project: Project) -> Result:
    done = project.run("small.yaml")
    assert done.exit_code == 0, done.stderr
    return done


def test_the_table_of_subjects_is_what_monai_computes_from_the_files(project: Project, result: Result) -> None:
    rows = list(csv.DictReader((result.run / "metrics_per_subject.csv").read_text().splitlines()))
    assert [(row["subject"], row["structure"]) for row in rows] == [
        (subject, tissue) for subject in SUBJECTS for tissue in TISSUES.values()
    ]
    apart = [scores for subject in SUBJECTS for scores in monai_scores(project, result, subject)]
    for row, scores in zip(rows, apart, strict=True):
        assert {name: float(row[name]) for name in scores} == pytest.approx(scores, rel=1e-5)
    means = json.loads((result.run / "metrics.json").read_text())["test"]
    for tissue in TISSUES.values():
        for score in ("dice", "hd95_mm", "volume_error_percent"):
            values = [float(row[score]) for row in rows if row["structure"] == tissue]
            assert means[f"test/{tissue}/{score}"] == pytest.approx(np.mean(values), rel=1e-5)


def monai_scores(project: Project, result: Result, subject: str) -> list[dict[str, float]]:
    """For each tissue: MONAI's own metrics, and Dice and volumes counted by hand, from the files on disk."""
    import torch
    from monai.metrics import DiceMetric, HausdorffDistanceMetric

    volumes, spacing = read_both(project, result, subject)
    one_hot = [torch.from_numpy(np.stack([volume == n for n in range(3)])[None]).float() for volume in volumes]
    dice = DiceMetric(include_background=False, reduction="none")(*one_hot)[0]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*always_return_as_numpy", FutureWarning)
        hd95 = HausdorffDistanceMetric(percentile=95, reduction="none")(*one_hot, spacing=spacing)[0]
    found = []
    for label in TISSUES:
        predicted, true = (volume == label for volume in volumes)
        by_hand = 2 * (predicted & true).sum() / (predicted.sum() + true.sum())
        assert float(dice[label - 1]) == pytest.approx(by_hand, rel=1e-5)
        found.append(
            {
                "dice": float(dice[label - 1]),
                "hd95_mm": float(hd95[label - 1]),
                "volume_error_percent": 100 * (predicted.sum() - true.sum()) / true.sum(),
                "volume_ml": predicted.sum() * np.prod(spacing) / 1000,
            }
        )
    return found


def read_both(project: Project, result: Result, subject: str) -> tuple[list[Any], tuple[float, ...]]:
    """The predicted and the reference labels, which lie on one grid in space, and their voxel size in mm."""
    import nibabel as nib

    source = nib.load(project.root / "data-small" / subject / "T1w.nii.gz")
    reference = nib.load(project.root / "data-small" / subject / "tissues.nii.gz")
    prediction = nib.load(result.run / "predictions" / f"{subject}_tissues.nii.gz")
    assert (prediction.affine == source.affine).all()
    assert prediction.shape == source.shape == reference.shape
    assert prediction.get_sform(coded=True)[1] == source.get_sform(coded=True)[1] == 1
    spacing = np.linalg.norm(source.affine[:3, :3], axis=0)
    return [np.asarray(image.dataobj) for image in (prediction, reference)], tuple(map(float, spacing))


def test_the_report_has_the_subjects_with_box_plots_and_three_planes(result: Result) -> None:
    entries = json.loads((result.run / "figures" / "figures.json").read_text())["figures"]
    pictures = [entry["title"] for entry in entries if entry["file"].endswith(".png")]
    assert pictures == [f"{subject}: axial, coronal, sagittal" for subject in SUBJECTS]
    (table,) = (entry["subjects"] for entry in entries if "subjects" in entry)
    assert [each["name"] for each in table["metrics"]] == [
        f"{tissue} {score}"
        for score in ("Dice", "HD95 (mm)", "volume error (%)")
        for tissue in ("grey matter", "white matter")
    ]
    assert all(each["picture"] for each in table["worst"])
    html = (result.run / "report.html").read_text()
    assert "radiological convention" in html
    assert html.count("data:image/png;base64,") >= 2


def test_the_planes_are_those_of_the_patient(result: Result) -> None:
    """A volume with a mark at the right, one at the front and one at the top: where each is in the picture."""
    sys.path.insert(0, str(EXAMPLE / "src"))
    try:
        from brain_tissue.evaluation import three_planes
    finally:
        sys.path.remove(str(EXAMPLE / "src"))
    volume = np.zeros((5, 7, 9))  # axes to the patient's right, to the front, to the top
    volume[4, 3, 4], volume[2, 6, 4], volume[2, 3, 8] = 1, 2, 3
    picture = three_planes(volume, (2, 3, 4))
    axial, coronal, sagittal = picture[:, :5], picture[:, 5:10], picture[:, 10:]
    assert [np.argwhere(axial == mark).tolist() for mark in (1, 2)] == [[[4, 0]], [[1, 2]]]  # one row above
    assert [np.argwhere(coronal == mark).tolist() for mark in (1, 3)] == [[[4, 0]], [[0, 2]]]
    assert [np.argwhere(sagittal == mark).tolist() for mark in (2, 3)] == [[[4, 0]], [[0, 3]]]


def test_a_run_that_is_killed_and_resumed_has_the_weights_of_the_unbroken_one(project: Project, result: Result) -> None:
    before = set((project.root / "outputs").iterdir())
    launcher = subprocess.Popen(
        project.command("small.yaml"),
        cwd=project.root,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    run = wait_for_an_epoch(project.root / "outputs", before, launcher)
    pids = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split()
    launcher.kill()  # first: it would start the job again
    for pid in pids:
        os.kill(int(pid), signal.SIGKILL)
    launcher.wait()
    assert not (run / "outputs.json").exists(), "it was over before it was killed"
    resumed = project.run("resume", str(run))
    assert resumed.exit_code == 0, resumed.stderr
    assert resumed.weights == result.weights
    attempts = resumed.record["attempts"]
    assert len(attempts) == 2
    assert attempts[1]["epoch"] >= 1
    assert attempts[1]["resume_exact"] is True
    table = "metrics_per_subject.csv"
    assert (run / table).read_bytes() == (result.run / table).read_bytes()


def wait_for_an_epoch(outputs: Path, before: set[Path], launcher: subprocess.Popen[bytes]) -> Path:
    """The folder of the new run, once it has a checkpoint."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and launcher.poll() is None:
        for run in set(outputs.iterdir()) - before:
            if (run / "checkpoints" / "last.ckpt").exists():
                return run
        time.sleep(0.02)
    raise AssertionError("no checkpoint was written")
