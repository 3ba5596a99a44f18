"""`outputs.register`: the model of a complete run in MLflow's registry."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from innereye_runtime.cli.ui.registration import register_model
from innereye_runtime.errors import OutputError

REGISTER = {"name": "lungs", "description": "both lungs", "tags": {"organ": "lungs"}}


def complete_run(folder: Path, **record: Any) -> Path:
    """A run folder with all that is read of it."""
    (folder / "checkpoints").mkdir(parents=True)
    files = {"checkpoints/best.ckpt": b"weights", "manifest.yaml": b"schema: 1\n"}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    whole = {
        "id": folder.name,
        "model": "Tiny",
        "target": "process",
        "manifest": {"schema": 1, "outputs": {"register": REGISTER}},
        "checkpoints": {"best": {"path": "checkpoints/best.ckpt", "weights_sha256": "0" * 64}},
        "metrics": {"val": {"val/loss": 0.5}, "test": {"test/loss": 0.25}},
        "code": {"commit": "abc"},
        **record,
    }
    (folder / "run.json").write_text(json.dumps(whole))
    listed = [{"path": name, "sha256": hashlib.sha256(content).hexdigest()} for name, content in files.items()]
    (folder / "outputs.json").write_text(json.dumps({"files": listed}))
    return folder


@pytest.fixture
def registry(needs: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    needs("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "store").as_uri())
    from mlflow.tracking import MlflowClient

    return MlflowClient()


@pytest.mark.filterwarnings("ignore")  # MLflow's own
def test_a_model_is_registered_once_with_metrics_and_digests(registry: Any, tmp_path: Path) -> None:
    run = complete_run(tmp_path / "2026_Tiny")
    register_model(run)
    register_model(run)
    (version,) = registry.search_model_versions("name='lungs'")
    assert (version.source, version.description) == (str(run / "checkpoints/best.ckpt"), "both lungs")
    tags = version.tags
    assert tags["innereye-runtime.run"] == "2026_Tiny"
    assert (tags["metric.test/loss"], tags["metric.val/loss"], tags["organ"]) == ("0.25", "0.5", "lungs")
    assert tags["checkpoint_sha256"] == hashlib.sha256(b"weights").hexdigest()
    assert tags["outputs_sha256"] == hashlib.sha256((run / "outputs.json").read_bytes()).hexdigest()
    assert json.loads(tags["manifest"])["outputs"]["register"] == REGISTER
    register_model(complete_run(tmp_path / "2027_Tiny"))
    assert {one.version for one in registry.search_model_versions("name='lungs'")} == {1, 2}


@pytest.mark.filterwarnings("ignore")  # MLflow's own
@pytest.mark.parametrize("record", [{"smoke": True}, {"target": "azureml"}, {"manifest": {"schema": 1}}])
def test_what_is_not_to_be_registered_is_not(registry: Any, tmp_path: Path, record: dict[str, Any]) -> None:
    register_model(complete_run(tmp_path / "2026_Tiny", **record))
    assert list(registry.search_registered_models()) == []


def test_without_a_registry_a_note_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        monkeypatch.delenv(name, raising=False)
    register_model(complete_run(tmp_path / "2026_Tiny"))
    assert "note: model lungs is not registered: neither MLFLOW_REGISTRY_URI nor MLFLOW" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore")  # MLflow's own
def test_a_model_that_can_not_be_registered_is_told(
    registry: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = complete_run(tmp_path / "2026_Tiny", checkpoints={})
    with pytest.raises(OutputError, match="has no checkpoint that could be registered as model lungs"):
        register_model(run)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "false")
    with pytest.raises(OutputError, match="model lungs is not registered: The filesystem model registry") as caught:
        register_model(complete_run(tmp_path / "2027_Tiny"))
    assert "innereye-run resume" in caught.value.hint
