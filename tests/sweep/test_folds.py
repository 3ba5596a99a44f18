"""What comes of folds together: their predictions in one table, and the ensemble of their models."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.projects import Project, tiny_project
from tests.sweep import studies
from tests.sweep.studies import job_of, starts, use_trial_process

from innereye_runtime.cli.ui.study import resume_many
from innereye_runtime.errors import OutputError, UsageError
from innereye_runtime.job.resolve import Job, resolve_job
from innereye_runtime.manifest.loading import load
from innereye_runtime.report.sweep_page import sweep_page
from innereye_runtime.sweep.predictions import join_predictions
from innereye_runtime.sweep.record import RecordWriter, SweepRecord, TrialRecord
from innereye_runtime.sweep.results import write_metrics

FOLDS = "cross_validation: {splits: 2, ensemble: outputs}"
SPACE = "{search_space: {x: {values: [2, 1]}}, objective: {primary_metric: f}}"


def folds_of(folder: Path, *tables: str, group: int = 0, name: str = "predictions.csv") -> list[TrialRecord]:
    """Complete folds that wrote those tables."""
    folds = []
    for fold, table in enumerate(tables):
        trial = TrialRecord(name=f"{group}{fold}", group=group, parameters={}, fold=fold, state="completed")
        file = folder / "trials" / trial.name / name
        file.parent.mkdir(parents=True)
        if table:
            file.write_text(table)
        folds.append(trial)
    return folds


def record_of(folds: Sequence[TrialRecord], algorithm: str | None = None) -> SweepRecord:
    record = SweepRecord(id="s", model="C", target="process", code_root="", splits=2, sampling_algorithm=algorithm)
    record.trials = list(folds)
    return record


def test_the_predictions_of_folds_are_one_table_in_the_order_of_subjects(tmp_path: Path) -> None:
    folds = folds_of(tmp_path, "Subject_ID,p\n10,0.5\n2,0.25\n", '\ufeffSubject_ID,p\n1,"a,b"\n')
    joined = join_predictions(tmp_path, record_of(folds), "")
    assert joined == {
        "file": "predictions.csv",
        "from": "predictions.csv",
        "rows": 3,
        "id": "Subject_ID",
        "ids_in_several_folds": 0,
    }
    assert (tmp_path / "predictions.csv").read_text() == 'fold,Subject_ID,p\n1,1,"a,b"\n0,2,0.25\n0,10,0.5\n'


def test_a_table_without_ids_keeps_the_order_of_folds_and_one_of_a_sweep_names_the_trial(tmp_path: Path) -> None:
    first = folds_of(tmp_path, "p\n9\n8\n", "p\n7\n", name="predictions/dataloader_0.csv")
    second = folds_of(tmp_path, "p\n6\n", "p\n5\n", group=1, name="predictions/dataloader_0.csv")
    broken = folds_of(tmp_path, "p\n4\n", "", group=2, name="predictions/dataloader_0.csv")
    broken[1].state = "failed"
    joined = join_predictions(tmp_path, record_of([*first, *second, *broken], "grid"), "")
    assert joined is not None and (joined["rows"], joined["id"]) == (5, None)
    assert (tmp_path / "predictions.csv").read_text() == "trial,fold,p\n0,0,9\n0,0,8\n0,1,7\n1,0,6\n1,1,5\n"


def test_folds_that_predict_the_same_subjects_are_counted_and_folds_without_a_table_have_none(tmp_path: Path) -> None:
    folds = folds_of(tmp_path / "a", "id,p\nx,1\nx,2\ny,3\n", "id,p\nx,4\n")
    joined = join_predictions(tmp_path / "a", record_of(folds), "")
    assert joined is not None and joined["ids_in_several_folds"] == 1
    assert join_predictions(tmp_path / "b", record_of(folds_of(tmp_path / "b", "", "")), "") is None


@pytest.mark.parametrize(
    ("second", "named", "message"),
    [
        ("", "", r"01/predictions\.csv: No such file"),
        ("id,q\n", "", r"01/predictions\.csv has the columns id, q, and that of fold 0 id, p"),
        ("id,p\n1\n", "", r"01/predictions\.csv:2 has more or fewer cells"),
        ("id,p\n1,2\n", "val.csv", r"00/val\.csv: No such file"),
    ],
)
def test_tables_that_can_not_be_joined_are_an_error(tmp_path: Path, second: str, named: str, message: str) -> None:
    folds = folds_of(tmp_path, "id,p\n1,0\n", second)
    with pytest.raises(OutputError, match=message):
        join_predictions(tmp_path, record_of(folds), named)
    assert [path.name for path in tmp_path.iterdir()] == ["trials"]


def test_the_ensemble_is_of_the_folds_of_the_best_trial_and_runs_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_trial_process(monkeypatch)
    job, folder = job_of(tmp_path, SPACE, FOLDS), tmp_path / "s"
    record = studies.run(job, folder)
    assert (record.exit_code, record.count("completed")) == (0, 4)
    assert record.ensemble is not None
    assert (record.ensemble.state, record.ensemble.group, record.ensemble.parameters) == ("completed", 1, {"x": 1})
    assert starts(folder)[-1] == "ensemble" and len(starts(folder)) == 5
    manifest = load(folder / "ensemble" / "manifest.yaml").manifest
    assert manifest is not None and manifest.cross_validation is None
    weights = [str(folder / "trials" / name / "checkpoints" / "last.ckpt") for name in ("002", "003")]
    args = manifest.container.args
    assert (args["local_weights_path"], args["run_inference_only"], args["x"]) == (weights, True, 1)
    assert (args["cross_validation_split_index"], args["ensemble_average"]) == (0, "outputs")

    again = studies.run(job, folder, record)
    assert again.exit_code == 0 and len(starts(folder)) == 5
    metrics = write_metrics(folder, again, predictions={"file": "p", "rows": 3, "id": "id", "ids_in_several_folds": 1})
    assert metrics["ensemble"]["metrics"] == {"val": {"f": 1}}
    page = sweep_page(again.to_data(), metrics)
    assert '<a href="ensemble/report.html">' in page and "3 rows by id; 1 of the ids are in several folds" in page

    again.ensemble = TrialRecord(name="ensemble", group=1, parameters={"x": 1}, state="failed", exit_code=5)
    (folder / "ensemble" / "outputs.json").unlink()
    assert studies.run(job, folder, again).exit_code == 0
    assert starts(folder)[-1] == "ensemble" and len(starts(folder)) == 6, "one that failed is tried again"


def test_a_sweep_that_is_stopped_before_its_ensemble_is_not_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_trial_process(monkeypatch)
    job, folder = job_of(tmp_path, SPACE, FOLDS), tmp_path / "s"
    folder.mkdir()
    (folder / "hold.ensemble").touch()

    def stop() -> None:
        while not (folder / "starts").exists() or "ensemble" not in starts(folder):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=stop).start()
    record = studies.run(job, folder)
    assert (record.state, record.exit_code, record.count("completed")) == ("stopped", 143, 4)
    assert record.ensemble is not None and record.ensemble.state == "stopped"
    (folder / "hold.ensemble").unlink()
    record = studies.run(job, folder, record)
    assert (record.state, record.ensemble and record.ensemble.state) == ("completed", "completed")
    assert len(starts(folder)) == 6


def test_a_sweep_without_a_best_trial_has_no_ensemble_and_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_trial_process(monkeypatch)
    space = "{search_space: {x: {values: [1e200]}}, objective: {primary_metric: f}}"
    record = studies.run(job_of(tmp_path, space, FOLDS), tmp_path / "s")
    assert (record.exit_code, record.reason) == (6, "there is no ensemble: no trial has a value of f")


def test_an_ensemble_needs_a_best_trial(tmp_path: Path) -> None:
    job_of(tmp_path, "{search_space: {x: {values: [1]}}}")
    with (tmp_path / "m.yaml").open("a") as manifest:
        manifest.write(FOLDS)
    told = {one.code: one.message for one in load(tmp_path / "m.yaml").diagnostics}
    assert "needs an objective" not in told["E216"] and "folds of the best trial" in told["E216"]
    asked = ["--number_of_cross_validation_splits=3", "--ensemble_inference_on_test_set=True"]
    text = "schema: 1\ncontainer: {class: 'c:C'}\n"
    job: Job = resolve_job(text, cwd=tmp_path, overrides=asked)
    assert job.manifest.cross_validation is not None
    assert (job.manifest.cross_validation.splits, job.manifest.cross_validation.ensemble) == (3, "outputs")


@pytest.mark.parametrize(
    ("state", "target", "message", "remedy"),
    [
        ("completed", None, "runs the folds alone", "resume {folder} --target process"),
        ("completed", "azureml", "runs the folds alone", "resume {folder} --target process"),
        ("failed", "process", "is not resumed", "download of its job"),
    ],
)
def test_folds_of_azure_get_their_ensemble_here_when_all_are_here(
    tmp_path: Path, state: Any, target: Any, message: str, remedy: str
) -> None:
    job, folder = job_of(tmp_path, "", FOLDS, "compute: {azureml: {cluster: c}}"), tmp_path / "s"
    folder.mkdir()
    shutil.copy(tmp_path / "m.yaml", folder / "manifest.yaml")
    record = studies.record_of(job, folder)
    record.target, record.state, record.exit_code = "azureml", state, 0
    folds = [TrialRecord(name=f"00{n}", group=0, parameters={}, fold=n, state="completed") for n in (0, 1)]
    folds[1].state = state
    record.trials = folds
    RecordWriter(folder, record).write(now=True)
    with pytest.raises(UsageError, match=message) as refused:
        resume_many(folder, target=target, as_json=False)
    assert remedy.format(folder=folder) in refused.value.hint
    record.state = "completed"
    record.ensemble = TrialRecord(name="ensemble", group=0, parameters={}, state="completed")
    RecordWriter(folder, record).write(now=True)
    assert resume_many(folder, target="process", as_json=False) == 0, "there is nothing to resume"


MODEL = '''\
"""Folds of hello, whose models predict the patients that they were not trained on."""

import json
import os
import signal
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from innereye_runtime.examples.hello import HelloContainer, HelloData, HelloModel


class Model(HelloModel):
    def on_train_epoch_start(self):
        folder = Path.cwd()
        if folder.name == "001" and self.current_epoch == 1 and not Path("killed").exists():
            Path("killed").touch()
            sweep = json.loads((folder.parent.parent / "sweep.json").read_text())
            for process in (sweep["launcher"], sweep["trials"][1]["launcher"], str(os.getpid())):
                os.kill(int(process.partition("-")[0]), signal.SIGKILL)

    def predict_step(self, batch, batch_idx):
        return {"subject": [int(each) for each in batch[2]], "logit": self(batch[0]), "malignant": batch[1]}

    def test_step(self, batch, batch_idx):
        super().test_step(batch, batch_idx)
        torch.save(self.test_outputs[-1][0], "logits.pt")


class Data(HelloData):
    def predict_dataloader(self):
        items = self.splits["val"]
        numbered = [(*items[index], 1000 * self.fold + index) for index in range(len(items))]
        return DataLoader(numbered, batch_size=50)


class Folds(HelloContainer):
    def create_model(self):
        return Model(num_layers=self.num_layers, width=self.width)

    def get_data_module(self):
        data = super().get_data_module()
        data.__class__ = Data
        return data
'''
MANIFEST = """\
schema: 1
name: folds
container: {class: Folds, namespaces: [folds]}
dataset: {id: hello, local: DATA}
trainer: {num_epochs: 2}
cross_validation: {splits: 2, ensemble: outputs}
"""
ROOT = Path(__file__).resolve().parents[2]


def folds_project(folder: Path) -> Project:
    project = tiny_project(folder)
    project.write("folds.py", MODEL)
    project.write("folds.yaml", MANIFEST.replace("DATA", str(ROOT / "data" / "hello")))
    return project


def test_folds_of_which_one_was_killed_and_their_ensemble_equal_a_computation_apart(
    tmp_path: Path, needs: Callable[..., None]
) -> None:
    needs("torch")
    import torch

    from innereye_runtime.examples.hello import HelloData, HelloModel, accuracy

    project = folds_project(tmp_path)
    assert project.run("folds.yaml").exit_code == -signal.SIGKILL
    (folder,) = (tmp_path / "outputs").iterdir()
    assert not (folder / "ensemble").exists()
    done = project.run("resume", "--json", str(folder))
    assert done.exit_code == 0, done.stderr
    result = json.loads(done.stdout)
    killed = json.loads((folder / "trials" / "001" / "run.json").read_text())
    assert [attempt["epoch"] for attempt in killed["attempts"]] == [0, 1]
    unbroken = project.run("--json", str(folder / "trials" / "001" / "manifest.yaml"))
    assert json.loads(unbroken.stdout)["weights_sha256"] == killed["checkpoints"]["last"]["weights_sha256"]
    data = HelloData(ROOT / "data" / "hello" / "breast_cancer.csv", batch_size=32, folds=2, fold=0)
    data.setup("test")
    features, malignant = data.splits["test"].tensors
    outputs = []
    for name in ("000", "001"):
        model = HelloModel(num_layers=2, width=32)
        content = torch.load(folder / "trials" / name / "checkpoints" / "best.ckpt", weights_only=False)
        model.load_state_dict(content["state_dict"])
        outputs.append(model.eval()(features).detach())
    apart = (outputs[0] + outputs[1]) / 2
    assert torch.equal(torch.load(folder / "ensemble" / "logits.pt"), apart)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["ensemble"]["average"] == "outputs"
    assert result["ensemble"] == metrics["ensemble"]["metrics"]
    assert result["ensemble"]["test"]["test/accuracy"] == pytest.approx(float(accuracy(apart, malignant)), abs=1e-7)

    with (folder / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["fold", "subject", "logit", "malignant"]
    assert [int(row["subject"]) for row in rows] == sorted(int(row["subject"]) for row in rows)
    assert metrics["predictions"] == {
        "file": "predictions.csv",
        "from": "predictions/dataloader_0.csv",
        "rows": len(rows),
        "id": "subject",
        "ids_in_several_folds": 0,
    }
    found: Any = {0: [], 1: []}
    for row in rows:
        found[int(row["fold"])].append(float(row["logit"]))
    for fold, values in found.items():
        batches = sorted((folder / "trials" / f"00{fold}" / "predictions" / "dataloader_0").iterdir())
        assert torch.equal(torch.cat([torch.load(each)["logit"] for each in batches]), torch.tensor(values))
    assert not (folder / "ensemble" / "predictions").exists()
