"""The callbacks of the runtime's own that a run has beside those of its container."""

from __future__ import annotations

from typing import IO

from pytorch_lightning.callbacks import Callback, DeviceStatsMonitor

from innereye_runtime.api.container import LightningContainer
from innereye_runtime.compat.lightning1_hooks import ReturnedLog
from innereye_runtime.run.paths import RunPaths
from innereye_runtime.training.evaluation.one_process import Threads
from innereye_runtime.training.lifecycle.contract import RequireTrainingBatches
from innereye_runtime.training.lightning.epoch_logging import EnsureEpochLogging, ValidationRows
from innereye_runtime.training.lightning.loss_watch import LossWatch
from innereye_runtime.training.lightning.monitoring import LoadingTime
from innereye_runtime.training.lightning.progress import EpochLogger, TerminalBar
from innereye_runtime.training.lightning.stopping import StopAtBatch
from innereye_runtime.training.lightning.training_log import TrainingLog
from innereye_runtime.training.lightning.transforms import SeededTransforms


def watching_callbacks(
    container: LightningContainer, paths: RunPaths, terminal: IO[str] | None, *, smoke: bool
) -> list[Callback]:
    """The callbacks that only look on, or see to it that there is something to look at."""
    watchers: list[Callback] = [
        Threads(),
        RequireTrainingBatches(container),
        LossWatch(smoke=smoke),
        TrainingLog(paths.training_csv),
        EnsureEpochLogging(),
        EpochLogger(within_epochs=terminal is None),
        ValidationRows(),
        SeededTransforms(container.effective_random_seed),
        ReturnedLog(),
        StopAtBatch(),
    ]
    every = container.pl_progress_bar_refresh_rate
    if terminal is not None and every != 0:
        watchers.append(TerminalBar(terminal, every_n_batches=every))
    if container.monitor_loading or container.monitor_training:
        watchers.append(LoadingTime())
    if container.monitor_gpu:
        watchers.append(DeviceStatsMonitor())
    return watchers
