"""What a run does to its machine, where the container asks for it: load by the clock, and the time that loading
takes.
"""

from __future__ import annotations

import csv
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean
from typing import Any

import psutil
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from innereye_runtime.training.lightning.gpu_load import gpu_load

_COLUMNS = ("seconds", "cpu_percent", "memory_used_bytes", "gpu_memory_used_bytes", "gpu_percent")


class LoadingTime(Callback):
    """Logs, for each epoch, how long training waited for its batches, and for how much of the epoch's time that was.

    The values go to the loggers as `timing/train/loading_seconds` and `timing/train/loading_fraction`; they are no
    metrics of the model, so they aren't among its final ones.
    """

    def __init__(self) -> None:
        self._epoch_started = self._waiting_since = 0.0
        self._waited = 0.0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._epoch_started = self._waiting_since = time.monotonic()
        self._waited = 0.0

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self._waited += time.monotonic() - self._waiting_since

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._waiting_since = time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        whole = max(time.monotonic() - self._epoch_started, 1e-9)
        values = {
            "timing/train/loading_seconds": self._waited,
            "timing/train/loading_fraction": self._waited / whole,
            "epoch": float(trainer.current_epoch),
        }
        for logger in trainer.loggers:
            logger.log_metrics(values, step=trainer.global_step - 1)


@contextmanager
def record_load(path: Path, interval_seconds: int) -> Iterator[None]:
    """While it is open, a row for the machine's load goes to the CSV file `path` every so many seconds; 0: none.

    Columns: seconds since the start, CPU use of the whole machine in percent of all cores, memory in use in bytes, and
    memory that this process has on its GPUs in bytes, and the mean load of these GPUs in percent, empty where it is
    not shown. On a restart, rows are added.
    """
    if interval_seconds == 0:
        yield
        return
    ended = threading.Event()
    thread = threading.Thread(target=_record, args=(path, interval_seconds, ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _record(path: Path, interval_seconds: int, ended: threading.Event) -> None:
    started = time.monotonic()
    psutil.cpu_percent()  # of the time since then
    is_new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if is_new:
            writer.writerow(_COLUMNS)
        while not ended.wait(interval_seconds):
            memory = psutil.virtual_memory()
            load = (psutil.cpu_percent(), memory.total - memory.available, _gpu_memory_used(), _gpu_percent())
            writer.writerow((round(time.monotonic() - started, 1), *load))
            file.flush()


def _gpu_memory_used() -> int:
    return sum(torch.cuda.memory_reserved(index) for index in range(torch.cuda.device_count()))


def _gpu_percent() -> float | str:
    loads = [gpu_load(index) for index in range(torch.cuda.device_count())]
    read = [load for load in loads if load is not None]
    return round(fmean(read), 1) if read else ""
