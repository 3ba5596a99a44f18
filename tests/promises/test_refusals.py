"""What can't be meant ends with exit code 2 and a remedy before anything starts: each style, through both doors."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest
from tests.promises.foreign import STYLES, foreign_project

from innereye_runtime.cli.main import main

REFUSALS: dict[str, tuple[str, str]] = {
    "--dataset_mountpoint=/lungs": ("datasets differ in number", "change dataset_mountpoint"),
    "--dataset_mountpoint=lungs --extra_dataset_mountpoints=/more": ("must be an absolute path", "change"),
    "--local_dataset=data --extra_local_dataset_paths=": ("datasets differ in number", "change"),
    "--number_of_cross_validation_splits=3 --cross_validation_split_index=3": ("must be less than", "change"),
    "--cross_validation_split_index=0": ("needs number_of_cross_validation_splits", "change"),
    "--different_seeds=3": ("one run has one seed", "--random_seed=1"),
    "--regression_metrics=auc": ("an option of hi-ml alone", "regression_test_folder"),
    "--pl_deterministic --no-pl_deterministic": ("say the opposite", "keep one of them"),
    "--rankz=2": ("no parameter 'rankz'", "did you mean"),
    "--ranks=3": ("3", "explain|its default is|at most"),
}
NAMESPACES = {"old": "--model_configs_namespace=nowhere", "new": "--set=container.namespaces=[nowhere]"}


@pytest.mark.parametrize("door", ["old", "new"])
@pytest.mark.parametrize("name", STYLES)
def test_a_refusal_has_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, door: str
) -> None:
    style = STYLES[name]
    foreign_project(tmp_path, style)
    monkeypatch.chdir(tmp_path)
    namespace = {} if "lungs.configs.Lungs" in style.model and door == "old" else {NAMESPACES[door]: ("nowhere", "")}
    for line, (sentence, remedy) in {**REFUSALS, **namespace}.items():
        model = style.model.split()[:1] if line in NAMESPACES.values() else style.model.split()
        words = line.split()
        code = main(["lungs.yaml", *words]) if door == "new" else import_module(style.runner).main([*model, *words])
        told = capsys.readouterr().err
        assert (code, "Traceback" in told) == (2, False), f"{line}: {told}"
        assert sentence in told and any(each in told for each in remedy.split("|")), f"{line}: {told}"
    assert not (tmp_path / "outputs").exists()
