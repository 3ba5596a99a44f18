"""A run that is broken after any epoch and restarted ends with the weights and metrics of the unbroken one."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback, EarlyStopping
from tests.training.harness import KillAt, Killed
from tests.training.models import SCHEDULERS, Model, NoisyData

from innereye_runtime.run.paths import RunPaths
from innereye_runtime.training.checkpoints.checkpointing import Recovery, newest_checkpoint
from innereye_runtime.training.checkpoints.weights import read_checkpoint, weights_sha256
from innereye_runtime.training.lifecycle.seeding import seed_run
from innereye_runtime.training.lifecycle.signals import StopRequested, defer_signals, stop_on_signals
from innereye_runtime.training.lightning.metrics import MetricsTable

EPOCHS = 5
SEED = 3

pytestmark = pytest.mark.filterwarnings("ignore")  # Lightning's remarks on workers and logging intervals


def fit(
    paths: RunPaths, *callbacks: Callback, model: Model, data: NoisyData, monitor: str = "", every: int = 1
) -> Recovery:
    paths.checkpoints.mkdir(parents=True, exist_ok=True)
    seed_run(SEED)
    resumed = newest_checkpoint(paths)
    table = MetricsTable(paths.metrics_csv)
    table.restart(resumed.step if resumed else 0, resumed.progress.epochs if resumed else None)
    recovery = Recovery(paths, seed=SEED, monitor=monitor, every_n_epochs=every, resumed=resumed)
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=EPOCHS,
        default_root_dir=str(paths.root),
        logger=table,
        callbacks=[recovery, *callbacks, recovery.kept],
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
    )
    trainer.fit(model, datamodule=data, ckpt_path=str(resumed.path) if resumed else None, weights_only=False)
    return recovery


def result(paths: RunPaths) -> tuple[str, str, str]:
    last, best = read_checkpoint(paths.last_checkpoint), read_checkpoint(paths.best_checkpoint)
    metrics = json.dumps(last["callbacks"]["Recovery"]["metrics"])
    return (
        weights_sha256(last["state_dict"]),
        weights_sha256(best["state_dict"]),
        metrics + paths.metrics_csv.read_text(),
    )


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("workers", [0, 2])
def test_a_restart_after_any_epoch_ends_as_the_unbroken_run(tmp_path: Path, scheduler: str, workers: int) -> None:
    def parts() -> dict[str, Any]:
        return {"model": Model(scheduler=scheduler), "data": NoisyData(workers=workers, own_generator=workers == 0)}

    whole = RunPaths(tmp_path / "whole")
    seed_run(SEED)
    fit(whole, **parts())
    for epoch, batch in ((0, 2), (1, 0), (2, 4), (4, 1)) if workers == 0 else ((2, 2),):
        broken = RunPaths(tmp_path / f"broken{epoch}")
        seed_run(SEED)
        with pytest.raises(Killed):
            fit(broken, KillAt(epoch, batch), **parts())
        seed_run(SEED)
        fit(broken, **parts())
        assert result(broken) == result(whole), f"killed in epoch {epoch} at batch {batch}"


def test_a_run_that_stopped_early_is_not_trained_further_by_a_restart(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path)
    stop = EarlyStopping("val/loss", patience=1, min_delta=100.0)
    fit(paths, stop, model=Model(), data=NoisyData())
    resumed = newest_checkpoint(paths)
    assert resumed is not None
    assert resumed.progress.finished
    assert resumed.progress.epochs == 2 < EPOCHS


def test_best_is_the_epoch_with_the_lowest_monitored_value(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path)
    progress = fit(paths, model=Model(), data=NoisyData(), monitor="train/loss").progress
    rows = paths.metrics_csv.read_text().splitlines()
    column = rows[0].split(",").index("train/loss")
    losses = [float(value) for row in rows[1:] if (value := row.split(",")[column])]
    assert len(losses) == EPOCHS
    assert progress.best_epoch == losses.index(min(losses))
    assert progress.best_value == pytest.approx(min(losses))
    assert read_checkpoint(paths.best_checkpoint)["callbacks"]["Recovery"]["epochs"] == progress.best_epoch + 1


@pytest.mark.parametrize("monitor", ["last", "no/such/metric"])
def test_without_a_value_to_watch_the_last_epoch_is_the_best(tmp_path: Path, monitor: str) -> None:
    paths = RunPaths(tmp_path)
    fit(paths, model=Model(), data=NoisyData(), monitor=monitor)
    assert paths.best_checkpoint.read_bytes() == paths.last_checkpoint.read_bytes()
    assert read_checkpoint(paths.best_checkpoint)["callbacks"]["Recovery"]["epochs"] == EPOCHS


def test_the_best_epoch_is_kept_though_the_last_is_saved_less_often(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path)
    with pytest.raises(Killed):
        fit(paths, KillAt(3, 0), model=Model(), data=NoisyData(), every=2)
    assert read_checkpoint(paths.last_checkpoint)["callbacks"]["Recovery"]["epochs"] == 2
    best = read_checkpoint(paths.best_checkpoint)["callbacks"]["Recovery"]
    assert best["epochs"] == best["best_epoch"] + 1


def test_an_unreadable_checkpoint_is_passed_over(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path)
    fit(paths, model=Model(), data=NoisyData(), monitor="train/loss")
    content = paths.last_checkpoint.read_bytes()
    paths.last_checkpoint.unlink()  # it may share its bytes with best.ckpt
    paths.last_checkpoint.write_bytes(content[: len(content) // 2])
    resumed = newest_checkpoint(paths)
    assert resumed is not None
    assert resumed.path == paths.best_checkpoint
    paths.best_checkpoint.write_bytes(b"")
    assert newest_checkpoint(paths) is None


class StoppedAsItSaves(Callback):
    """Has the process asked to end in the middle of a checkpoint, as a launcher does it."""

    def __init__(self, signum: int) -> None:
        self.signum = signum

    def on_save_checkpoint(self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: Any) -> None:
        for _ in range(2):  # a launcher asks again
            os.kill(os.getpid(), self.signum)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_lets_a_checkpoint_be_written(tmp_path: Path, signum: int) -> None:
    paths = RunPaths(tmp_path)
    with stop_on_signals(), pytest.raises(StopRequested, match=signal.Signals(signum).name):
        fit(paths, StoppedAsItSaves(signum), model=Model(), data=NoisyData())
    resumption = newest_checkpoint(paths)
    assert resumption is not None
    assert resumption.progress.epochs == 1
    fit(paths, model=Model(), data=NoisyData())
    whole = RunPaths(tmp_path / "whole")
    fit(whole, model=Model(), data=NoisyData())
    assert result(paths) == result(whole)


def test_a_stop_after_a_checkpoint_does_not_wait(tmp_path: Path) -> None:
    with stop_on_signals(), pytest.raises(StopRequested, match="SIGINT"):
        with defer_signals():
            pass
        os.kill(os.getpid(), signal.SIGINT)
        pytest.fail("it went on")
