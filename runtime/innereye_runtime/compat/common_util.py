"""Small helpers that containers of the seed system import."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

log = logging.getLogger(__name__)


@contextlib.contextmanager
def logging_section(name: str) -> Iterator[None]:
    """Logs the start of a section and, however it ends, the seconds that it took."""
    log.info("%s: started", name)
    started = time.monotonic()
    try:
        yield
    finally:
        log.info("%s: finished after %.2f s", name, time.monotonic() - started)


@contextlib.contextmanager
def change_working_directory(path: Path | str) -> Iterator[None]:
    """Makes `path` the working directory inside the block; the old one is back after it, also after an exception."""
    with contextlib.chdir(path):
        yield


def namespace_to_path(namespace: str, root: Path | str = "") -> Path:
    """The path of a module without its suffix: `a.b` is `<root>/a/b`."""
    return Path(root, *namespace.split("."))


def path_to_namespace(path: Path, root: Path | str = "") -> str:
    """The module that a path below `root` is: `<root>/a/b.py` is `a.b`."""
    return ".".join(path.relative_to(root).with_suffix("").parts)


def any_pairwise_larger(items1: Sequence[float], items2: Sequence[float]) -> bool:
    """True where an item of the first is larger than its counterpart; both have the same length."""
    return any(first > second for first, second in zip(items1, items2, strict=True))


def is_windows() -> bool:
    return sys.platform == "win32"


def is_linux() -> bool:
    return sys.platform.startswith("linux")
