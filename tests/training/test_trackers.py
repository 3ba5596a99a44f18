"""Trackers that the manifest names, beside TensorBoard and CSV: one tracker run for all attempts, with parameters."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.projects import Project, Result

from innereye_runtime.errors import InnerEyeError
from innereye_runtime.job.ranks import Ranks
from innereye_runtime.training.lifecycle.trackers import introduce, with_loggers

NET = """\
from pathlib import Path

import lightning as L
import torch
from torch.utils.data import DataLoader, TensorDataset


class Net(L.LightningModule):
    def __init__(self, lr: float = 0.1) -> None:
        super().__init__()
        self.lr = lr
        self.layer = torch.nn.Linear(2, 1)

    def on_train_epoch_start(self):
        if self.current_epoch == 2 and not Path("stopped").exists():
            Path("stopped").touch()
            raise RuntimeError("stopped once")

    def training_step(self, batch, batch_idx):
        loss = self.layer(batch[0]).square().mean()
        self.log("train/loss", loss)
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.lr)

    def train_dataloader(self):
        return DataLoader(TensorDataset(torch.ones(8, 2)), batch_size=4)
"""
MANIFEST = """\
schema: 1
model: {class: net:Net, args: {lr: 1e-2}}
trainer:
  num_epochs: 3
  arguments:
    logger:
    - class: lightning.pytorch.loggers:WandbLogger
      args: {project: lungs, offline: true}
    - class: lightning.pytorch.loggers:MLFlowLogger
      args: {experiment_name: lungs, tracking_uri: "sqlite:///${run}/mlflow.db"}
    - class: lightning.pytorch.loggers:CometLogger
      args: {project: lungs, online: false}
compute: {retries: {user: 0, infrastructure: 0}}
secrets: [WANDB_API_KEY, COMET_API_KEY]
"""
KEYS = {"WANDB_API_KEY": "0123456789" * 4, "COMET_API_KEY": "abcdefghijklmnopqrstuvwxy"}


@pytest.fixture(scope="module")
def resumed(needs: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Result:
    """A run that failed after two epochs and was resumed for the third."""
    needs("torch", "mlflow", "trackers")
    project = Project(tmp_path_factory.mktemp("project"))
    project.write("pyproject.toml", "")
    project.write("net.py", NET)
    project.write("net.yaml", MANIFEST)
    first = project.run("net.yaml", environment=KEYS)
    assert (first.exit_code, first.record["reason"]) == (1, "RuntimeError: stopped once"), first.stderr
    second = project.run("resume", str(first.run), environment=KEYS)
    assert second.exit_code == 0, second.stderr
    assert len(second.record["attempts"]) == 2
    return second


def test_wandb_has_one_run_for_both_attempts(resumed: Result) -> None:
    folders = sorted((resumed.run / "wandb").glob("offline-run-*"))
    ids = {folder.name.rpartition("-")[2] for folder in folders}
    assert len(folders) == 2
    assert len(ids) == 1, "one id, of which `wandb sync` makes one run"
    records = [record for folder in folders for record in wandb_records(next(folder.glob("*.wandb")))]
    config = {item.key or item.nested_key[0]: json.loads(item.value_json) for one in records for item in one.config}
    assert config["model.lr"] == 0.01
    assert config["innereye_run_folder"] == str(resumed.run)
    assert [loss for one in records for loss in one.losses] == pytest.approx(losses(resumed))


class WandbRecord:
    def __init__(self, record: Any) -> None:
        self.config = [*record.config.update, *record.run.config.update]
        items = [(each.key or each.nested_key[0], each.value_json) for each in record.history.item]
        self.losses = [json.loads(value) for name, value in items if name == "train/loss"]


def wandb_records(file: Path) -> list[WandbRecord]:
    """What a file of W&B's holds, read by its own library."""
    from wandb.proto.wandb_internal_pb2 import Record
    from wandb.sdk.internal.datastore import DataStore

    store, found = DataStore(), []
    store.open_for_scan(str(file))
    try:
        while (data := store.scan_data()) is not None:
            record = Record()
            record.ParseFromString(data)
            found.append(WandbRecord(record))
    finally:
        store.close()
    return found


def losses(result: Result) -> list[float]:
    rows = [line.split(",") for line in (result.run / "metrics.csv").read_text().splitlines()]
    column = rows[0].index("train/loss")
    found = [float(row[column]) for row in rows[1:] if row[column]]
    assert len(found) == 3
    return found


STORED = """
import json, sys
from mlflow.tracking import MlflowClient

client = MlflowClient(sys.argv[1])
runs = client.search_runs([client.get_experiment_by_name("lungs").experiment_id])
history = client.get_metric_history(runs[0].info.run_id, "train/loss")
print(json.dumps([len(runs), runs[0].info.status, runs[0].data.params, [metric.value for metric in history]]))
"""
"""What MLflow has, in a process of its own: other tests put modules of its name in place of it."""


def test_mlflow_has_one_run_for_both_attempts(resumed: Result) -> None:
    command = [sys.executable, "-W", "ignore", "-c", STORED, f"sqlite:///{resumed.run}/mlflow.db"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    runs, status, parameters, history = json.loads(done.stdout.splitlines()[-1])
    assert (runs, status) == (1, "FINISHED")
    assert parameters["model.lr"] == "0.01"
    assert parameters["innereye_run_folder"] == str(resumed.run)
    assert history == pytest.approx(losses(resumed))


def test_comet_has_an_archive_of_each_attempt_with_one_key(resumed: Result) -> None:
    archives = sorted(resumed.run.glob("comet-attempt-*/*.zip"))
    assert [archive.parent.name for archive in archives] == ["comet-attempt-1", "comet-attempt-2"]
    keys, parameters = set(), {}
    found: dict[int, float] = {}  # by step: Comet writes down what goes to TensorBoard, too
    for archive in archives:
        with zipfile.ZipFile(archive) as file:
            about = json.loads(file.read("experiment.json"))
            messages = [json.loads(line) for line in file.read("messages.json").splitlines()]
        assert (about["project_name"], about["resume_strategy"]) == ("lungs", "get_or_create")
        keys.add(about["offline_id"])
        for message in messages:
            match message["type"], message["payload"]:
                case "metric_msg", {"metric": {"metricName": "train/loss", "metricValue": value, "step": step}}:
                    found[step] = float(value)
                case "parameter_msg", {"param": {"paramName": name, "paramValue": value}}:
                    parameters[name] = value
    assert len(keys) == 1
    assert list(found.values()) == pytest.approx(losses(resumed))
    assert parameters["model.lr"] == 0.01
    assert parameters["innereye_run_folder"] == str(resumed.run)


def test_the_run_is_complete_with_their_files_and_without_their_keys(resumed: Result) -> None:
    listed = {entry["path"] for entry in json.loads((resumed.run / "outputs.json").read_text())["files"]}
    assert any(re.match(r"wandb/offline-run-.*\.wandb$", name) for name in listed)
    assert any(name.startswith("logs/tensorboard/") for name in listed)
    written = b"".join(path.read_bytes() for path in resumed.run.rglob("*") if path.is_file())
    assert not [name for name, key in KEYS.items() if key.encode() in written]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"class": "pytorch_lightning.loggers:WandLogger"}, "has no class 'WandLogger'"),
        ({"class": "nowhere.loggers:Mine"}, "there is no module 'nowhere.loggers'"),
        (
            {"class": "pytorch_lightning.loggers:CSVLogger", "args": {"save_dri": "x"}},
            "missing a required argument: 'save_dir'",
        ),
        ({"class": "pytorch_lightning.loggers:CSVLogger", "args": {"save_dir": "${dataset}"}}, "needs a dataset"),
    ],
)
def test_a_logger_that_can_not_be_made_is_a_mistake_of_the_manifest(
    given: dict[str, Any], told: str, needs: Callable[..., None]
) -> None:
    needs("torch")
    manifest = SimpleNamespace(trainer=SimpleNamespace(arguments={"logger": [given]}))
    container: Any = SimpleNamespace(
        local_dataset=None, extra_local_dataset_paths=[], output_to="run", perform_cross_validation=False
    )
    job: Any = SimpleNamespace(manifest=manifest, search_path=())
    with pytest.raises(InnerEyeError, match=told) as error:
        with_loggers(job, container)
    assert error.value.exit_code == 2


def test_an_experiment_of_comet_that_keeps_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    sent: dict[str, Any] = {}
    experiment = SimpleNamespace(disabled=True)
    kind = type("CometLogger", (SimpleNamespace,), {})
    logger: Any = kind(_comet_config=object(), experiment=experiment, log_hyperparams=sent.update)
    record = SimpleNamespace(id="run", arguments={"lr": {"value": 0.1}, "url": {"value": "https://me:pass@host/x"}})
    run: Any = SimpleNamespace(record=record, ranks=Ranks(), paths=SimpleNamespace(root=Path("/run")))
    logging.getLogger("innereye_runtime").propagate = True
    with caplog.at_level(logging.WARNING, "innereye_runtime"):
        introduce([logger, SimpleNamespace(log_hyperparams=pytest.fail)], run)  # the other one is no tracker
    assert "COMET_START_ONLINE" in caplog.text
    assert sent == {"lr": 0.1, "url": "https://***@host/x", "innereye_run": "run", "innereye_run_folder": "/run"}
