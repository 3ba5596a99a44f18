"""Logging and helpers, under their name in hi-ml."""

from innereye_runtime.compat.matching import create_from_matching_params
from innereye_runtime.compat.successor_logging import (
    AzureMLLogger,
    AzureMLProgressBar,
    BatchTimeCallback,
    log_learning_rate,
    log_on_epoch,
)

__all__ = [
    "AzureMLLogger",
    "AzureMLProgressBar",
    "BatchTimeCallback",
    "create_from_matching_params",
    "log_learning_rate",
    "log_on_epoch",
]
