"""Splits and names of files, under their old name."""

from innereye_runtime.api.inference import ModelExecutionMode
from innereye_runtime.compat.checkpoint_names import (
    ARGS_TXT,
    BEST_CHECKPOINT_FILE_NAME,
    BEST_CHECKPOINT_FILE_NAME_WITH_SUFFIX,
    CHECKPOINT_FOLDER,
    CHECKPOINT_SUFFIX,
    DATASET_CSV_FILE_NAME,
    LAST_CHECKPOINT_FILE_NAME,
    LAST_CHECKPOINT_FILE_NAME_WITH_SUFFIX,
)

__all__ = [
    "ARGS_TXT",
    "BEST_CHECKPOINT_FILE_NAME",
    "BEST_CHECKPOINT_FILE_NAME_WITH_SUFFIX",
    "CHECKPOINT_FOLDER",
    "CHECKPOINT_SUFFIX",
    "DATASET_CSV_FILE_NAME",
    "LAST_CHECKPOINT_FILE_NAME",
    "LAST_CHECKPOINT_FILE_NAME_WITH_SUFFIX",
    "ModelExecutionMode",
]
