"""What a person sees of training: a bar on a terminal of any width, and few and short lines in a log."""

from __future__ import annotations

import logging
import os
import struct
import termios
from collections.abc import Iterator
from fcntl import ioctl
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

import pytest
import pytorch_lightning as pl
import torch
from tests.training.harness import train

from innereye_runtime.api.container import LightningContainer
from innereye_runtime.training.lightning import progress
from innereye_runtime.training.lightning.duration import short_duration
from innereye_runtime.training.lightning.progress import EpochLogger, TerminalBar, shown_metrics


class Many(pl.LightningModule):
    """Logs 40 metrics, and its val/dice gets better in each epoch but the last."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        loss: torch.Tensor = self.layer(batch).mean()
        self.log("train/loss", loss, on_step=True, on_epoch=True)
        return loss

    def validation_step(self, batch: torch.Tensor, batch_idx: int) -> None:
        for number in range(40):
            self.log(f"val/organ{number}/dice", 0.5)
        self.log("val/loss", (0.3, 0.2, 0.9)[self.current_epoch])

    def train_dataloader(self) -> torch.utils.data.DataLoader[torch.Tensor]:
        return torch.utils.data.DataLoader(torch.ones(8, 1))

    val_dataloader = train_dataloader

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), 0.1)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)]


class Organs(LightningContainer):
    def __init__(self) -> None:
        super().__init__(num_epochs=3)

    def create_model(self) -> pl.LightningModule:
        return Many()

    def get_data_module(self) -> None:
        return None


@pytest.fixture
def no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each epoch has its line, however soon it follows another."""
    seconds = count()
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: float(next(seconds))))


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")  # Lightning's own
def test_an_epoch_is_one_line_with_the_monitored_metric_first(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, no_wait: None
) -> None:
    with caplog.at_level(logging.INFO, logger="innereye_runtime"):
        train(Organs(), tmp_path / "run")
    lines = [message for message in caplog.messages if message.startswith(("epoch", "best epoch"))]
    assert [line.split(":")[0] for line in lines] == ["epoch 1 of 3", "epoch 2 of 3", "epoch 3 of 3", "best epoch"]
    assert lines[0].startswith("epoch 1 of 3: val/loss 0.3  train/loss ")
    assert all("in metrics.csv" in line and len(line) < 180 for line in lines[:3])
    assert [line.endswith("*best") for line in lines[:3]] == [True, True, False]
    rates = [line.split(",")[2] for line in (tmp_path / "run" / "logs" / "training.csv").read_text().splitlines()]
    assert rates == ["learning_rate", "0.1", "0.05", "0.025"], "that of the epoch, not of the next one"
    assert lines[3] == "best epoch: 2 of 3 (val/loss 0.2, the lowest)"


@pytest.fixture
def terminal() -> Iterator[tuple[int, IO[str]]]:
    """The reading end of a terminal of 60 columns, and its file."""
    reading, writing = os.openpty()
    ioctl(writing, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 60, 0, 0))
    with os.fdopen(writing, "w", encoding="utf-8") as file:
        yield reading, file
    os.close(reading)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
def test_the_bar_shows_this_epochs_loss_and_fits_its_terminal(tmp_path: Path, terminal: tuple[int, IO[str]]) -> None:
    reading, file = terminal
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=2,
        logger=False,
        callbacks=[TerminalBar(file, every_n_batches=4), EpochLogger(within_epochs=False)],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
        num_sanity_val_steps=0,
    )
    trainer.fit(Many())
    drawn = [line for line in os.read(reading, 65536).decode().split("\r\x1b[K") if line]
    assert [line.split(" ")[:4] for line in drawn] == [["epoch", str(n), "of", "2"] for n in (1, 1, 2, 2)]
    assert all(len(line) <= 59 and " it/s" in line for line in drawn)
    assert "░" in drawn[0] and " 4/8 " in drawn[0] and "░" not in drawn[1]


def test_the_speed_in_a_continued_epoch_is_that_of_the_batches_that_are_trained(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = 1000.0
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: now))
    trainer: Any = SimpleNamespace(
        num_training_batches=1000, max_epochs=2, current_epoch=0, is_global_zero=True, callbacks=[]
    )
    model: Any = None
    logger = EpochLogger()
    with caplog.at_level(logging.INFO, logger="innereye_runtime"):
        for first in (0, 900):
            caplog.clear()
            logger.on_train_epoch_start(trainer, model)
            now += 100.0 if first else 0.0  # for the batches that are drawn again
            for batch in range(first, first + 60):
                if batch == first:  # after that one, Lightning is not to call it
                    logger.on_train_batch_start(trainer, model, None, batch)
                assert logger.on_train_batch_start is None
                now += 1.0
                logger.on_train_batch_end(trainer, model, None, None, batch)
            assert caplog.messages[0].startswith(
                f"epoch 1 of 2, step {first + 30 if not first else 901} of 1000, 1 it/s"
            )


def test_metrics_without_room_are_counted() -> None:
    values = {"lr": 1e-3, "val/loss_epoch": 2.0, "val/loss": 2.0, **{f"m{n}": n / 3 for n in range(50)}}
    assert shown_metrics(values, "m7", width=40) == "m7 2.333  val/loss 2  m0 0  m1 0.3333  +48"
    assert shown_metrics({}, "") == "nothing logged yet"
    assert shown_metrics({"x": float("nan")}, "") == "x nan"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0 s"), (89, "89 s"), (90, "2 min"), (3599, "1 h 0 min"), (7500, "2 h 5 min"), (360000, "4 d 4 h")],
)
def test_durations_are_short(seconds: float, text: str) -> None:
    assert short_duration(seconds) == text
