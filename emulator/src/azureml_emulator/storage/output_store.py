"""How the store behind a mounted output behaves: as a file system does, or as mounts of object stores do at times.

What a store refuses is refused to the Python processes of a job, by an audit hook that `sitecustomize.py` installs; how
and when changes arrive is a matter of `upload`.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from azureml_emulator.storage.blob_sync import BlobSync

StoreMode = Literal["no-rename", "no-append", "no-delete", "close-to-open", "slow", "failing"]
STORE_MODES: tuple[StoreMode, ...] = get_args(StoreMode)
FOLDERS_VARIABLE, MODES_VARIABLE = "AZUREML_EMULATOR_OUTPUTS", "AZUREML_EMULATOR_STORE"
HOOK_FOLDER = "/mnt/azureml/emulator/hook"
_HOOK = Path(__file__).with_name("job_hook")
_SLOW_SECONDS, _CLOSED_SECONDS = 4.0, 1.0


class OutputStore:
    """One mounted output with these `modes`; none of them: a POSIX file system, with every change uploaded.

    `no-rename`, `no-append`, `no-delete`: the mount refuses that; what is deleted otherwise stays in the store.
    `close-to-open`: each node has a view of its own, and sees the files of others when these have closed them.
    `slow`: writes take time, and changes arrive every 4 seconds. `failing`: every third write fails.
    """

    def __init__(self, modes: Iterable[StoreMode]) -> None:
        self.modes = frozenset(modes)
        self._uploaded = 0.0

    def views(self, folder: Path, nodes: int) -> list[Path]:
        """The folders of this machine that `nodes` see as the output: one for all, or one for each."""
        return [folder / f"view{node}" for node in range(nodes)] if "close-to-open" in self.modes else [folder]

    def mounts(self) -> list[str]:
        """The options of `docker run` that let a job meet what this store refuses."""
        return ["--volume", f"{_HOOK}:{HOOK_FOLDER}:ro"] if self.modes else []

    def environment(self, folders: Iterable[str], given: Mapping[str, str]) -> dict[str, str]:
        """The variables that the hook reads; `folders`: the outputs, inside the job. `given`: the job's own."""
        if not self.modes:
            return {}
        path = ":".join(filter(None, [HOOK_FOLDER, given.get("PYTHONPATH", "")]))
        return {"PYTHONPATH": path, FOLDERS_VARIABLE: ":".join(folders), MODES_VARIABLE: ",".join(sorted(self.modes))}

    def upload(self, sync: BlobSync, folders: list[Path], container: str, prefix: str, *, is_last: bool) -> None:
        """Uploads what changed in the `folders`, one for each view of the output, as far as the store lets it."""
        if "slow" in self.modes and not is_last:
            if time.monotonic() - self._uploaded < _SLOW_SECONDS:
                return
            self._uploaded = time.monotonic()
        if len(folders) > 1:
            _exchange(folders, open_files=is_last)
        sync.upload(folders[0], container, prefix, removes="no-delete" not in self.modes and len(folders) == 1)


def _exchange(folders: list[Path], *, open_files: bool) -> None:
    """Gives each view the newest version of each file. One that changed within a second may be open in its view, and
    only `open_files` are not left out then.
    """
    newest: dict[Path, tuple[float, Path]] = {}
    for folder in folders:
        for file in sorted(folder.rglob("*")):
            with suppress(FileNotFoundError):
                modified, name = file.stat().st_mtime, file.relative_to(folder)
                if file.is_file() and (open_files or time.time() - modified > _CLOSED_SECONDS):
                    newest[name] = max(newest.get(name, (0.0, file)), (modified, file))
    for name, (modified, file) in newest.items():
        for view in folders:
            there = view / name
            if not there.exists() or there.stat().st_mtime < modified:
                there.parent.mkdir(parents=True, exist_ok=True)
                beside = there.with_name(f".{there.name}.view")
                shutil.copy2(file, beside)
                beside.replace(there)
