"""Helpers of containers, under their name in hi-ml."""

from innereye_runtime.compat.checkpoint_names import CHECKPOINT_SUFFIX
from innereye_runtime.compat.common_util import change_working_directory, is_linux, is_windows, logging_section
from innereye_runtime.compat.matching import create_from_matching_params

__all__ = [
    "CHECKPOINT_SUFFIX",
    "change_working_directory",
    "create_from_matching_params",
    "is_linux",
    "is_windows",
    "logging_section",
]
