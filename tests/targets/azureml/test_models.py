"""`outputs.register` in Azure Machine Learning: the model of a run among the workspace's models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.targets.test_registration import complete_run

from innereye_runtime.errors import OutputError
from innereye_runtime.targets.azureml.blob_prefix import BlobPrefix
from innereye_runtime.targets.azureml.models import register_run


@pytest.mark.filterwarnings("ignore")  # the SDK's own
def test_the_model_of_a_run_is_registered_once(
    cloud_for: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = BlobPrefix(datastore="workspaceblobstore", path="innereye-runtime/trials/2026_Tiny")
    run = complete_run(tmp_path / "2026_Tiny", target="azureml")
    with cloud_for() as cloud:
        from innereye_runtime.targets.azureml.session import Session

        for name, value in cloud.environment().items():
            monkeypatch.setenv(name, value)
        workspace = cloud.workspace
        session = Session(workspace.subscription, workspace.group, workspace.name)
        for _ in range(2):
            register_run(session, "job-1", place, run)
        register_run(session, "job-2", place, complete_run(tmp_path / "2027_Tiny", target="azureml"))
        register_run(session, "job-3", place, complete_run(tmp_path / "2028_Tiny", target="azureml", smoke=True))
        register_run(session, "job-4", place, complete_run(tmp_path / "2029_Tiny", manifest={"schema": 1}))
        models = {
            version: one["properties"] for (kind, _, version), one in workspace.assets.items() if kind == "models"
        }
        assert models.keys() == {"1", "2"}
        first = models["1"]
        assert first["modelUri"].endswith(
            "/workspaceblobstore/paths/innereye-runtime/trials/2026_Tiny/checkpoints/best.ckpt"
        )
        assert (first["modelType"], first["description"], first["tags"]) == (
            "custom_model",
            "both lungs",
            {"organ": "lungs"},
        )
        properties = first["properties"]
        assert properties["metric.test/loss"] == "0.25"
        assert (properties["innereye-runtime.run"], properties["innereye-runtime.job"]) == ("2026_Tiny", "job-1")
        assert len(properties["outputs_sha256"]) == len(properties["manifest_sha256"]) == 64
        with pytest.raises(OutputError, match="has no checkpoint"):
            register_run(session, "job-5", place, complete_run(tmp_path / "2030_Tiny", checkpoints={}))
