"""Checkpoints and how they are named, under their name in hi-ml."""

from innereye_runtime.compat.checkpoint_names import (
    LAST_CHECKPOINT_FILE_NAME,
    LAST_CHECKPOINT_FILE_NAME_WITH_SUFFIX,
)
from innereye_runtime.compat.checkpoint_parser import CheckpointParser

__all__ = ["LAST_CHECKPOINT_FILE_NAME", "LAST_CHECKPOINT_FILE_NAME_WITH_SUFFIX", "CheckpointParser"]
