"""`innereye_runtime.compat.common_util` under its old name."""

from innereye_runtime.compat.common_util import (
    any_pairwise_larger,
    change_working_directory,
    is_linux,
    is_windows,
    logging_section,
    namespace_to_path,
    path_to_namespace,
)

__all__ = [
    "any_pairwise_larger",
    "change_working_directory",
    "is_linux",
    "is_windows",
    "logging_section",
    "namespace_to_path",
    "path_to_namespace",
]
