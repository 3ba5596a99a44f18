"""A case under `pl.Trainer` as a script calls it, and in a container under the runtime."""

from __future__ import annotations

import csv
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.seed import seed_everything
from pytorch_lightning.callbacks import Checkpoint

from innereye_runtime import LightningContainer
from innereye_runtime.training.evaluation.evaluate import evaluate
from innereye_runtime.training.evaluation.predictions import FOLDER
from innereye_runtime.training.lifecycle.seeding import seed_phase
from tests.conformance.base import Case
from tests.conformance.recording import Recorder, Rows, record, texts
from tests.training.harness import KillAt, Killed, train

SEED = 42


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """All that has to be the same."""

    weights: dict[str, Any]
    saved: dict[str, Any]
    """The weights in the checkpoint of the end of training."""
    rows: Rows
    table: Rows
    """The rows as metrics.csv must have them: each with its epoch."""
    hyperparameters: list[str]
    metrics: dict[str, str]
    position: tuple[int, int]
    """The trainer's steps and epochs."""
    events: list[str]
    observed: Any
    tested: dict[str, str]
    predicted: list[Any]


class _Follow(pl.Callback):
    def __init__(self, rows: Recorder) -> None:
        self._rows = rows

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self._rows.trainer = trainer


class _SeedByEpoch(pl.Callback):
    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.current_epoch > 0:
            seed_phase(SEED, f"epoch {trainer.current_epoch}")


def under_lightning(case: Case, folder: Path) -> Outcome:
    """What a script has that trains the case with `pl.Trainer`, started in `folder`."""
    folder.mkdir()
    with chdir(folder):
        return _under_lightning(case, folder)


def _under_lightning(case: Case, folder: Path) -> Outcome:
    events: list[str] = []
    rows = Recorder()
    seed_everything(SEED, workers=True, verbose=False)
    model = record(case.module(), "module", events)
    data = case.data()
    if data is not None:
        record(data, "data", events)
    callbacks = _recorded_callbacks(case, events)
    arguments = {
        "num_sanity_val_steps": 0,
        "log_every_n_steps": 1,
        "max_epochs": case.epochs,
        "enable_checkpointing": any(isinstance(each, Checkpoint) for each in callbacks),
        "enable_progress_bar": False,
        "enable_model_summary": False,
        **case.arguments,
    }
    trainer = pl.Trainer(
        accelerator="cpu",
        devices=1,
        logger=rows,
        callbacks=[*([_SeedByEpoch()] if case.seeded_by_epoch else []), *callbacks],
        default_root_dir=str(folder),
        **arguments,
    )
    trainer.fit(model, datamodule=data)
    checkpoint = folder / "end.ckpt"
    trainer.save_checkpoint(checkpoint)
    trained = _trained(case, trainer, model, checkpoint)
    given: dict[str, Any] = {"datamodule": data, "ckpt_path": str(checkpoint), "weights_only": False}
    by_loader = trainer.test(model, **given, verbose=False) if "test" in case.stages else []
    tested = {name: value for metrics in by_loader for name, value in metrics.items()}
    predicted: Any = trainer.predict(model, **given) if "predict" in case.stages else []
    if predicted and isinstance(predicted[0], list):  # of several loaders
        predicted = [each for batches in predicted for each in batches]
    return Outcome(
        **trained,
        rows=rows.rows,
        table=[],
        hyperparameters=rows.hyperparameters,
        events=events,
        tested=texts(tested),
        predicted=predicted,
    )


def under_the_runtime(case: Case, folder: Path, *, evaluated: bool = True) -> Outcome:
    """What the runtime has that trains a container with the same model, data and callbacks."""
    events: list[str] = []
    rows = Recorder()
    container = _container(case, events, rows, _Follow(rows))
    result = train(container, folder)
    last = folder / "checkpoints" / "last.ckpt"
    trained = _trained(case, result.trainer, container.model, last)
    tested: dict[str, Any] = {}
    if case.stages and evaluated:
        tested = evaluate(container, result.data, result.trainer, [last], seed=SEED, smoke=False)
    predictions = sorted((folder / FOLDER).glob("*/*.pt"))
    return Outcome(
        **trained,
        rows=rows.rows,
        table=[
            (step, {"epoch": epoch, **values}) for (step, values), epoch in zip(rows.rows, rows.epochs, strict=True)
        ],
        hyperparameters=rows.hyperparameters,
        events=events,
        tested=texts(tested),
        predicted=[torch.load(path, weights_only=False) for path in predictions],
    )


def resumed(case: Case, folder: Path) -> Outcome:
    """What a run of the case ends with that was killed in an epoch, and started again in the same run folder."""
    assert case.killed_in is not None
    broken = _container(case, [], Recorder(), KillAt(*case.killed_in))
    killed = False
    try:
        train(broken, folder)
    except Killed:
        killed = True
    assert killed, f"training was over before epoch {case.killed_in[0]}, batch {case.killed_in[1]}"
    events: list[str] = []
    container = _container(case, events, Recorder())
    result = train(container, folder)
    trained = _trained(case, result.trainer, container.model, folder / "checkpoints" / "last.ckpt")
    return Outcome(**trained, rows=[], table=table(folder), hyperparameters=[], events=events, tested={}, predicted=[])


def table(folder: Path) -> Rows:
    """The rows of metrics.csv, as `Recorder` has them."""
    path = folder / "metrics.csv"
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [(int(row.pop("step")), texts({name: value for name, value in row.items() if value != ""})) for row in rows]


def same(one: Any, other: Any) -> bool:
    """Equal to the last bit, be it tensors."""
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def _container(case: Case, events: list[str], rows: Recorder, *more: pl.Callback) -> LightningContainer:
    class CaseContainer(LightningContainer):
        def create_model(self) -> pl.LightningModule:
            return record(case.module(), "module", events)

        def get_data_module(self) -> pl.LightningDataModule:
            data: Any = case.data()
            return data if data is None else record(data, "data", events)

        def get_callbacks(self) -> list[pl.Callback]:
            return [*_recorded_callbacks(case, events), *more]

        def get_trainer_arguments(self) -> dict[str, Any]:
            return {"logger": rows, **({} if case.parameters else case.arguments)}

    container = CaseContainer()
    parameters = {"checkpoint_monitor": "last", "pl_log_every_n_steps": 1, **case.parameters}
    container.param.update(num_epochs=case.epochs, **parameters)
    return container


def _recorded_callbacks(case: Case, events: list[str]) -> list[pl.Callback]:
    return [record(each, type(each).__name__, events) for each in case.callbacks()]


def _trained(case: Case, trainer: pl.Trainer, model: Any, checkpoint: Path) -> dict[str, Any]:
    return {
        "saved": torch.load(checkpoint, weights_only=False)["state_dict"],
        "weights": {name: _copied(value) for name, value in model.state_dict().items()},
        "metrics": texts(trainer.callback_metrics),
        "position": (trainer.global_step, trainer.current_epoch),
        "observed": case.observed(trainer, model),
    }


def _copied(value: Any) -> Any:
    return value.detach().clone() if isinstance(value, torch.Tensor) else value
