"""Where the user's code lies, for containers that find files beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from innereye_runtime.introspection import discovery
from innereye_runtime.introspection.code_root import code_root

DEFAULT_AML_UPLOAD_DIR: Final = "outputs"
DEFAULT_AML_LOGS_DIR: Final = "azureml-logs"
DEFAULT_LOGS_DIR_NAME: Final = "logs"


def repository_root_directory(path: Path | str | None = None) -> Path:
    """The root of the user's code, or `path` below it.

    It is the root that the running container was loaded from; where none was, that of the working directory.
    """
    root = discovery.import_file() or code_root(None, Path.cwd())
    return root / path if path else root
