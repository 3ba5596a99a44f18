"""The files below checkpoints/: written such that best.ckpt and last.ckpt agree wherever a run is killed, and looked at
before a restart relies on them.

last.ckpt, which says which checkpoint is the best one, is renamed into place only when a new best one lies complete
beside it, under the name `pending`; then that is renamed too. `settle` finishes what a kill broke off between the two.
"""

from __future__ import annotations

import logging
import pickle
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from innereye_runtime.run.paths import RunPaths
from innereye_runtime.training.checkpoints.integrity import damage
from innereye_runtime.training.checkpoints.rank_parts import put_in_place

log = logging.getLogger("innereye_runtime")

STATE_KEY: Final = "Recovery"
"""Under which a checkpoint has the progress of its run, among the states of the callbacks."""
_COPIED_AT_ONCE: Final = 1 << 22


@dataclass(slots=True, kw_only=True)
class Progress:
    """What a checkpoint knows beyond Lightning's own state."""

    epochs: int = 0
    """Complete ones."""
    finished: bool = False
    """Training came to its end, be it early: a restart continues with inference."""
    inside: bool = False
    """It was saved inside an epoch, at a validation: a restart trains the rest of it with a data loader that begins
    anew."""
    monitor: str = ""
    mode: str = "min"
    criterion: str = ""
    """Why it is this metric and this mode."""
    best_value: float | None = None
    best_epoch: int | None = None
    """Counts from 0."""
    best_step: int | None = None
    """The number of optimizer steps that the best checkpoint had taken."""
    metrics: dict[str, dict[str, float | None]] = field(default_factory=dict)
    """Of the last complete epoch, by split."""
    carried: dict[str, Any] = field(default_factory=dict)
    """The states of `innereye_runtime.training.checkpoints.extra_state`."""
    frozen: list[str] = field(default_factory=list)
    plain: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What `innereye_runtime.training.checkpoints.plain_state` saves."""
    lost: list[str] = field(default_factory=list)
    """What it can't save."""
    batches: int = 0
    """Of the epoch that is under way, in partial.ckpt; 0: it was saved between two epochs."""
    stepped: int | None = None
    """`ResumePoint.step` there."""
    rows: int | None = None
    """Of metrics.csv, there."""
    processes: int = 1
    """That trained, there."""
    buckets: list[int] = field(default_factory=list)
    """Those of `innereye_runtime.training.checkpoints.ddp_state`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumePoint:
    """A checkpoint of this run, from which a restart can continue."""

    path: Path
    step: int
    """Counts rows of metrics.csv and points of TensorBoard: batches that made a step, however many optimizers there
    are. The last row that the checkpoint knows has the step before it."""
    global_step: int
    """Of Lightning: steps of all optimizers together."""
    progress: Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a restart finds below checkpoints/."""

    newest: ResumePoint | None
    """Of those that can be read, the one with most epochs."""
    notes: tuple[str, ...] = ()
    """What is not as it should be, a sentence each: files that can't be read and why, and what is done without."""
    passed_over: str = ""
    """Why the checkpoint of an open epoch is not one to continue from, though it can be read."""


class WholeFiles(TorchCheckpointIO):
    """Writes a checkpoint beside its target and renames it: neither in memory first, nor through $TMPDIR, which is
    memory in a container.
    """

    saved_for_user = False
    """A whole state went to a place that is not the runtime's own; `OpenEpoch` sets it back."""

    def __init__(self, rank: int = 0, processes: int = 1) -> None:
        """`rank`: that of this process among all, which takes its own part of a checkpoint of as many."""
        self._rank, self._processes = rank, processes

    def load_checkpoint(self, *arguments: Any, **options: Any) -> dict[str, Any]:
        checkpoint: dict[str, Any] = super().load_checkpoint(*arguments, **options)
        put_in_place(checkpoint, self._rank, self._processes)
        return checkpoint

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        # The runtime's own names are hidden ones until its files are complete.
        self.saved_for_user |= "loops" in checkpoint and not Path(path).name.startswith(".")
        if storage_options is not None or "://" in str(path):
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        # A hidden name is that of a file whose writer renames it itself.
        beside = target if target.name.startswith(".") else temporary(target)
        with removed_on_failure(beside):
            with beside.open("wb") as file:
                _save(checkpoint, file)
            if beside is not target:
                beside.replace(target)


class _Told:
    """A file that keeps the error of a write: PyTorch's writer raises another one in its place."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        try:
            return self._file.write(data)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        self._file.flush()


def pending(paths: RunPaths) -> Path:
    """Where a new best checkpoint lies until last.ckpt says that it is the best."""
    return paths.best_checkpoint.with_name(f".{paths.best_checkpoint.name}.pending")


def temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.tmp")


def copy_whole(source: Path, target: Path) -> None:
    """Copies a checkpoint byte by byte: damage to one block would take both of what a link, or a copy that the file
    system makes by reference (as `shutil.copyfile` asks it to from Python 3.14 on), shares."""
    beside = temporary(target)
    with removed_on_failure(beside):
        with source.open("rb") as content, beside.open("wb") as copied:
            shutil.copyfileobj(content, copied, _COPIED_AT_ONCE)
        beside.replace(target)


def open_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint on the CPU; of its tensors, what is looked at is read.

    Raises:
        Exception: whatever `torch.load` raises for a file that is cut short or not a checkpoint.
    """
    is_mapped = zipfile.is_zipfile(path)
    content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=False, mmap=is_mapped)
    return content


def look(paths: RunPaths, *, settling: bool = True, processes: int | None = None) -> Found:
    """The checkpoints of this run, of an open epoch only where as many `processes` saved it, if these are known. With
    `settling`, best.ckpt is the one that the newest names when it returns."""
    readable: list[ResumePoint] = []
    notes: list[str] = []
    passed_over = ""
    for path in paths.resumable:
        if not path.exists():
            continue
        found, name = _read(path), path.relative_to(paths.root)
        if isinstance(found, str):
            notes.append(f"{name} can't be read: {found}")
        elif found.progress.batches and processes not in (None, found.progress.processes):
            passed_over = f"{name} was saved {other_number(found.progress.processes, processes)}"
        else:
            readable.append(found)
    latest = max((each.global_step for each in readable), default=0)
    readable = [each for each in readable if not each.progress.batches or each.global_step >= latest]
    newest = max(readable, key=lambda each: (not each.progress.inside, *_order(each)), default=None)
    if newest is not None and settling:
        notes += _settle(paths, newest)
    return Found(newest=newest, notes=tuple(notes), passed_over=passed_over)


def other_number(before: int, now: int | None) -> str:
    by = "one process" if before == 1 else f"{before} processes"
    return f"by {by}, and now {now} train{'s' if now == 1 else ''}: its epoch is begun again"


def _order(resumption: ResumePoint) -> tuple[bool, int, int, int]:
    progress = resumption.progress
    return progress.finished, progress.epochs, resumption.global_step, progress.batches


def _settle(paths: RunPaths, newest: ResumePoint) -> list[str]:
    """Makes best.ckpt the one that `newest` names, and returns what there is to say of it."""
    candidate = pending(paths)
    if candidate.exists():
        found = _read(candidate)
        if isinstance(found, ResumePoint) and _is_best_of(found, newest.progress):
            candidate.replace(paths.best_checkpoint)
        else:
            candidate.unlink()
    progress = newest.progress
    if newest.path == paths.best_checkpoint or (progress.best_epoch is None and not progress.finished):
        return []
    best = _read(paths.best_checkpoint) if paths.best_checkpoint.exists() else "it is not there"
    if isinstance(best, ResumePoint) and _is_best_of(best, progress):
        return []
    what = best if isinstance(best, str) else f"best.ckpt is of epoch {best.progress.epochs}"
    epoch = progress.epochs if progress.best_epoch is None else progress.best_epoch + 1
    note = f"the best checkpoint, of epoch {epoch}, is lost ({what}): {newest.path.name} takes its place"
    value = next((values[progress.monitor] for values in progress.metrics.values() if progress.monitor in values), None)
    progress.best_value = value
    progress.best_epoch, progress.best_step = (None, None) if value is None else _place(newest)
    copy_whole(newest.path, paths.best_checkpoint)
    return [note]


def _place(resumption: ResumePoint) -> tuple[int, int]:
    within = resumption.progress.inside or resumption.progress.batches > 0
    return resumption.progress.epochs - (not within), resumption.global_step


def _is_best_of(candidate: ResumePoint, progress: Progress) -> bool:
    own = candidate.progress
    if (own.best_epoch, own.best_step) != (progress.best_epoch, progress.best_step):
        return False
    if progress.best_epoch is None:  # nothing was monitored: it is the one that training ended with
        return own.finished == progress.finished and own.epochs == progress.epochs
    return progress.best_step is None or candidate.global_step == progress.best_step


def _read(path: Path) -> ResumePoint | str:
    """What a restart needs to know of a checkpoint, or why it can't be read."""
    try:
        if (damaged := damage(path)) is not None:
            return damaged
        if not zipfile.is_zipfile(path):
            return "it is cut short, or not a checkpoint"
        content = open_checkpoint(path)
        state = content["callbacks"][STATE_KEY]
        progress = Progress(**state)
        loop = content["loops"]["fit_loop"]["epoch_loop.state_dict"]
        stepped = loop["_batches_that_stepped"] + progress.inside  # it counts this one after its validation
        stepped = stepped if progress.stepped is None else progress.stepped
        return ResumePoint(path=path, step=stepped, global_step=content["global_step"], progress=progress)
    except (ImportError, AttributeError) as error:
        return f"what it holds can't be imported here: {error}"
    except (KeyError, TypeError) as error:
        return f"it is not a checkpoint of this runtime: {error}"
    except (pickle.UnpicklingError, EOFError, RuntimeError, OSError, ValueError) as error:
        return str(error).partition("\n")[0] or type(error).__name__
    except Exception as error:  # whatever else a damaged pickle makes of itself
        return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


def _save(checkpoint: dict[str, Any], file: IO[bytes]) -> None:
    told = _Told(file)
    checked = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(True)  # `look` relies on the checksums
    try:
        torch.save(checkpoint, told)  # type: ignore[arg-type]
    except RuntimeError as error:
        if told.error is not None:
            raise told.error from error
        raise
    finally:
        torch.serialization.set_crc32_options(checked)


@contextmanager
def removed_on_failure(path: Path) -> Iterator[None]:
    """Nothing is left at `path` where the block fails: on a full disk it would take what room there is."""
    try:
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        raise
