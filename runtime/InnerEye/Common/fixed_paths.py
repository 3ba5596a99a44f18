"""`innereye_runtime.compat.fixed_paths` under its old name."""

from innereye_runtime.compat.fixed_paths import (
    DEFAULT_AML_LOGS_DIR,
    DEFAULT_AML_UPLOAD_DIR,
    DEFAULT_LOGS_DIR_NAME,
    repository_root_directory,
)

__all__ = ["DEFAULT_AML_LOGS_DIR", "DEFAULT_AML_UPLOAD_DIR", "DEFAULT_LOGS_DIR_NAME", "repository_root_directory"]
