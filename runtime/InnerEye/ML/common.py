"""Splits and names of checkpoints, under their old name."""

from innereye_runtime.api.inference import ModelExecutionMode
from innereye_runtime.compat.checkpoint_names import (
    BEST_CHECKPOINT_FILE_NAME,
    BEST_CHECKPOINT_FILE_NAME_WITH_SUFFIX,
    CHECKPOINT_SUFFIX,
    LAST_CHECKPOINT_FILE_NAME,
    LAST_CHECKPOINT_FILE_NAME_WITH_SUFFIX,
)

__all__ = [
    "BEST_CHECKPOINT_FILE_NAME",
    "BEST_CHECKPOINT_FILE_NAME_WITH_SUFFIX",
    "CHECKPOINT_SUFFIX",
    "LAST_CHECKPOINT_FILE_NAME",
    "LAST_CHECKPOINT_FILE_NAME_WITH_SUFFIX",
    "ModelExecutionMode",
]
