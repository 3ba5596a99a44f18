"""The loggers that every run has: its files, and the service whose job it is."""

from __future__ import annotations

import os

from pytorch_lightning.loggers.logger import Logger

from innereye_runtime.training.checkpoints.checkpoint_files import ResumePoint
from innereye_runtime.training.lifecycle.run import Run
from innereye_runtime.training.lightning.tracking import azureml_logger
from innereye_runtime.training.lightning.trainer import make_loggers


def loggers_of(run: Run, resumed: ResumePoint | None) -> list[Logger]:
    """TensorBoard and metrics.csv, continued where the run resumes; in a job of AzureML its metrics too."""
    step = epoch = rows = None
    if resumed is not None:
        progress = resumed.progress
        step, rows = resumed.step, progress.rows
        epoch = None if progress.inside or progress.batches else progress.epochs
    values = {name: argument["value"] for name, argument in run.record.arguments.items()}
    service = azureml_logger(os.environ, values, attempt=run.record.attempt.number) if run.ranks.is_first else None
    own = make_loggers(run.paths, resumed_step=step, resumed_epoch=epoch, rows=rows)
    return own if service is None else [*own, service]
