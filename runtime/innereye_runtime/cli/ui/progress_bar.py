"""A bar for what takes long, on a terminal."""

from __future__ import annotations

from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)


class ProgressBar:
    """Shows `innereye_runtime.data.progress.Progress` on standard error, and leaves nothing behind."""

    def __init__(self) -> None:
        self._shown = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._shown.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._shown.stop()

    def begin(self, what: str, files: int, size: int) -> None:
        if self._task is not None:
            self._shown.remove_task(self._task)
        self._task = self._shown.add_task(f"{what}, {files:,} files", total=size)

    def advance(self, files: int, size: int) -> None:
        if self._task is not None:
            self._shown.advance(self._task, size)
