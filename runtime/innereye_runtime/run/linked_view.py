"""A run folder as it was at one moment, while a run is writing to it: links to its files in a folder beside it.

The runtime replaces a file of its own by renaming another one over it. So a link keeps the file that was there, and a
set of links shows the folder of one moment where the files were the same before and after they were linked.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from innereye_runtime.run.output_manifest import NAME as OUTPUTS_JSON
from innereye_runtime.run.stager import CHECKPOINTS, Stamp, stamp_of
from innereye_runtime.run.temporaries import files_below, is_temporary

_TRIES, _PAUSE_SECONDS = 5, 0.02
_OF_ONE_MOMENT = ("run.json", "manifest.yaml", "args.txt", "metrics.csv", "metrics.json")
_UNSETTLED = f"{CHECKPOINTS}.best.ckpt.pending"
"""While it is there, a checkpoint is being saved, and last.ckpt may name a best one that is not in place yet."""


def folder_beside(root: Path, suffix: str = "") -> Path:
    """A folder on the file system of the run folder `root`, in which nobody looks for a run."""
    return root.parent / ".mirror" / f"{root.name}{suffix}"


def remove_folder_beside(root: Path, suffix: str = "") -> None:
    """Removes what `folder_beside` names, where it is there, and no trace of it is left."""
    folder = folder_beside(root, suffix)
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        folder.parent.rmdir()  # unless another run has one


class LinkedView:
    def __init__(self, root: Path) -> None:
        self.folder = folder_beside(root)
        self._root = root
        self._shown: dict[str, Stamp] = {}

    def begin(self) -> None:
        """Makes the folder; what an earlier process left there is removed. For one process at a time."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)

    @property
    def checkpoints(self) -> Mapping[str, Stamp]:
        """The files below checkpoints/ that it shows."""
        return {name: stamp for name, stamp in self._shown.items() if name.startswith(CHECKPOINTS)}

    def refresh(self, *, ended: bool = False) -> bool:
        """Whether the folder shows the run as it was at one moment since the call. Where it is `ended`, hidden files
        and outputs.json are shown too.

        Raises:
            OSError: the folder can't be written.
        """
        for _ in range(_TRIES):
            with suppress(FileNotFoundError):  # replaced or removed since it was listed: once more
                before = self._files(ended=ended)
                if ended or _UNSETTLED not in before:
                    self._show({name: stamp for name, stamp in before.items() if ended or not _is_hidden(name)})
                    if _moment(before) == _moment(self._files(ended=ended)):
                        return True
            time.sleep(_PAUSE_SECONDS)
        return False

    def remove(self) -> None:
        remove_folder_beside(self._root)

    def _files(self, *, ended: bool) -> dict[str, Stamp]:
        found: dict[str, Stamp] = {}
        for name in files_below(self._root):
            path = self._root / name
            if is_temporary(name) or path.is_symlink() or (name == OUTPUTS_JSON and not ended):
                continue
            with suppress(FileNotFoundError):
                found[name] = stamp_of(path)
        return found

    def _show(self, files: Mapping[str, Stamp]) -> None:
        for name, stamp in files.items():
            if self._shown.get(name) != stamp:
                self._link(name, stamp)
                self._shown[name] = stamp
        for name in self._shown.keys() - files.keys():
            (self.folder / name).unlink(missing_ok=True)
            del self._shown[name]

    def _link(self, name: str, stamp: Stamp) -> None:
        target = self.folder / name
        with suppress(FileNotFoundError):
            if target.stat().st_ino == stamp[0]:
                return  # it was written to, and the link shows that; or it replaced another one since it was listed
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = target.with_name(f".{target.name}.link")
        beside.unlink(missing_ok=True)
        try:
            os.link(self._root / name, beside)
        except FileNotFoundError:
            raise
        except OSError:  # a file system without links, or another user's file
            shutil.copyfile(self._root / name, beside)
            shutil.copystat(self._root / name, beside)
        beside.replace(target)


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/"))


def _moment(files: Mapping[str, Stamp]) -> dict[str, Stamp]:
    """What has to be of one moment: the state of the run. Of a table only which file it is, as rows are appended."""
    checkpoints = {
        name: stamp for name, stamp in files.items() if name.startswith(CHECKPOINTS) and not _is_hidden(name)
    }
    return checkpoints | {name: (files[name][0], 0, 0) for name in _OF_ONE_MOMENT if name in files}
