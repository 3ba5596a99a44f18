"""Splits and names of checkpoints, under their old name."""

from innereye_runtime.containers.checkpoint_names import (
    BEST_CHECKPOINT_FILE_NAME,
    BEST_CHECKPOINT_FILE_NAME_WITH_SUFFIX,
    CHECKPOINT_SUFFIX,
    LAST_CHECKPOINT_FILE_NAME,
    LAST_CHECKPOINT_FILE_NAME_WITH_SUFFIX,
)
from innereye_runtime.containers.inference import ModelExecutionMode

__all__ = [
    "BEST_CHECKPOINT_FILE_NAME",
    "BEST_CHECKPOINT_FILE_NAME_WITH_SUFFIX",
    "CHECKPOINT_SUFFIX",
    "LAST_CHECKPOINT_FILE_NAME",
    "LAST_CHECKPOINT_FILE_NAME_WITH_SUFFIX",
    "ModelExecutionMode",
]
