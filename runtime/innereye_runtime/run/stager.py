"""Copies the files of a run from a local folder of the node to its output, as training goes, and back for a restart."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from innereye_runtime.data.fingerprint.hashing import file_sha256
from innereye_runtime.errors import OutputError
from innereye_runtime.run.output_manifest import NAME as OUTPUTS_JSON
from innereye_runtime.run.paths import RunPaths
from innereye_runtime.run.staged_store import Index, RefusedByStoreError, StagedFile, Store, StoreError, place_of
from innereye_runtime.run.stager_meter import Meter
from innereye_runtime.run.temporaries import files_below, is_temporary

EVERY_SECONDS = 5.0
_LOOK_SECONDS = 0.5
_SHARE = 20
"""A file that takes a second to copy is copied every 20 seconds at most."""
_TRIES, _PAUSE_SECONDS = 7, 0.1
_PARALLEL = 4
_SHOWN_BYTES = 64 << 20
"""The largest file that is also copied to where the studio shows it."""
CHECKPOINTS = "checkpoints/"

Stamp = tuple[int, int, int]
T = TypeVar("T")


class Stager:
    """One of each node: in the process that trains, or in the one that started it, and never in both at a time. `save`
    and `finish` are called by the main thread, while another one copies the rest. An exception of a signal handler must
    not come up in them: what counts in the output and what is known here of it would differ.
    """

    def __init__(
        self,
        root: Path,
        store: Store,
        *,
        writer: str = "",
        tries: int = _TRIES,
        shown: Path | None = None,
        report: Callable[[str], None] = lambda text: None,
        on_look: Callable[[], None] = lambda: None,
    ) -> None:
        """`writer` is in each index. A write is tried `tries` times. `shown`: a folder that smaller files are also
        copied to, where the studio finds them. `on_look` is called twice a second while the other thread runs.
        """
        self._root = root
        self._store = store
        self._writer, self._tries = writer, tries
        self._shown = shown
        self._report = report
        self._on_look = on_look
        self._index = Index()
        self._stamps: dict[str, Stamp] = {}
        self._not_before: dict[str, float] = {}
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._copy_repeatedly, daemon=True, name="stager")
        self._meter: Meter | None = None

    @property
    def is_started(self) -> bool:
        return self._thread.ident is not None

    @property
    def progress(self) -> str:
        """How far the copy that is under way has come; '' where there is none."""
        return str(self._meter) if self._meter is not None else ""

    def continue_from(self, index: Index, taken: Iterable[str]) -> None:
        """Takes the files `taken` of the local folder for those that `index` lists, and `index` for the newest."""
        self._index = index
        for name in taken:
            with suppress(FileNotFoundError):
                self._stamps[name] = stamp_of(self._root / name)

    @property
    def stamps(self) -> dict[str, Stamp]:
        """By which another process of this node knows what is not to be copied."""
        return dict(self._stamps)

    def attach(self, stamps: Mapping[str, Stamp]) -> None:
        """Continues where another process left off: neither what has its `stamps` nor what is here as the newest index
        lists it is copied again.

        Raises:
            OSError: the output can't be read.
        """
        self._stamps |= stamps
        for index in self._store.indexes()[:1]:
            same = [name for name, staged in index.files.items() if _is_same(self._root / name, staged)]
            self.continue_from(index, same)

    def open(self) -> None:
        """Makes sure that the output can be written, and that it does not look complete.

        Raises:
            OutputError: it can't be written.
        """
        try:
            self._commit(self._index.files)
            if self._has_outputs_json():  # of an earlier attempt
                _retried(lambda: self._store.write_bytes(OUTPUTS_JSON, b""), self._tries)
        except OSError as error:
            raise _unwritable(self._store, error) from error

    def _has_outputs_json(self) -> bool:
        with suppress(FileNotFoundError):
            return bool(_retried(lambda: self._store.read_bytes(OUTPUTS_JSON), self._tries))
        return False

    def start(self) -> None:
        """From now on, what changes goes to the output every few seconds, checkpoints aside."""
        self._thread.start()

    def save(self) -> None:
        """Copies all files to the output, checkpoints too, before it returns. An output that fails for longer is
        reported, and training continues: the files are copied with the next checkpoint.
        """
        try:
            self.copy(Meter(self._report))
        except OSError as error:
            self._report(f"warning: the newest files, and a checkpoint among them, are not in the output yet: {error}")

    def copy(self, meter: Meter, *, checkpoints: bool = True) -> None:
        """Copies what has changed, all of it or without checkpoints and what takes long, and lets it count at once.

        Raises:
            OSError: the output can't be written; nothing of it counts.
        """
        with self._lock:
            self._copy(self._changed(checkpoints=checkpoints), meter)

    def finish(self) -> None:
        """Copies everything to the output under its own name, outputs.json last.

        Raises:
            OutputError: the output can't be written.
        """
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        try:
            with self._lock:
                meter, is_whole = Meter(self._report), (self._root / OUTPUTS_JSON).is_file()
                self._copy(self._changed(everything=True), meter)
                self._settle(meter)
                if is_whole:
                    self._commit(self._index.files)  # one that was overtaken finds out before the output looks complete
                    self._write(OUTPUTS_JSON, 0, meter)
                    self._show(OUTPUTS_JSON)
        except OSError as error:
            raise _unwritable(self._store, error) from error

    def _copy_repeatedly(self) -> None:
        record, seen = RunPaths(self._root).run_json, (0, 0, 0)
        due = 0.0
        while not self._ended.wait(_LOOK_SECONDS):
            self._on_look()
            with suppress(OSError), self._lock:  # tried again the next time, and reported at the end
                newest = stamp_of(record)
                if time.monotonic() > due or newest != seen:
                    self._copy(self._changed(), Meter())
                    due, seen = time.monotonic() + EVERY_SECONDS, newest

    def _changed(self, *, checkpoints: bool = False, everything: bool = False) -> list[str]:
        """What is not in the output as it is here. Names that begin with a dot are of files that are being written; at
        the end there are none of those but the runtime's own, and `everything` else is a result.
        """
        found, now = [], time.monotonic()
        for name in _names(self._root):
            path = self._root / name
            if name == OUTPUTS_JSON or is_temporary(name) or path.is_symlink():
                continue
            if not everything and any(part.startswith(".") for part in name.split("/")):
                continue
            if name.startswith(CHECKPOINTS) and not (checkpoints or everything):
                continue
            if not (checkpoints or everything) and now < self._not_before.get(name, 0.0):
                continue
            with suppress(FileNotFoundError):
                if self._stamps.get(name) != stamp_of(path):
                    found.append(name)
        return found

    def _copy(self, names: list[str], meter: Meter) -> None:
        """Copies files to the place that does not count, and then makes them count, all at once."""

        def copy(name: str) -> tuple[str, Stamp, StagedFile] | None:
            started = time.monotonic()
            before = self._index.files.get(name)
            slot = 1 - before.slot if before else 0
            try:
                stamp = stamp_of(self._root / name)
                staged = self._write(name, slot, meter)
            except FileNotFoundError:
                if (self._root / name).exists():
                    raise
                return None  # removed since it was listed
            self._show(name)
            self._not_before[name] = time.monotonic() + _SHARE * (time.monotonic() - started)
            return name, stamp, staged

        with self._metered(meter, names), ThreadPoolExecutor(_PARALLEL) as pool:
            copied = [each for each in pool.map(copy, names) if each is not None]
        if not self._root.is_dir():  # removed as a whole: what is in the output stays
            raise StoreError(f"{self._root} is gone")
        files = {**self._index.files, **{name: staged for name, _, staged in copied}}
        present = {name: each for name, each in files.items() if (self._root / name).is_file()}
        if copied or present.keys() != self._index.files.keys():
            self._commit(present)
        self._stamps |= {name: stamp for name, stamp, _ in copied}

    def _settle(self, meter: Meter) -> None:
        """Gives what lies below `.staging/files/` its own name, which an earlier version has until then."""
        names = [name for name, each in self._index.files.items() if each.slot]
        with self._metered(meter, names), ThreadPoolExecutor(_PARALLEL) as pool:
            settled = dict(zip(names, pool.map(lambda name: self._write(name, 0, meter), names), strict=True))
        if names:
            self._commit({**self._index.files, **settled})
        self._store.remove_second_places(self._index.files)

    @contextmanager
    def _metered(self, meter: Meter, names: list[str]) -> Iterator[None]:
        meter.begin([self._root / name for name in names])
        self._meter = meter
        try:
            yield
        finally:
            self._meter = None

    def _commit(self, files: Mapping[str, StagedFile]) -> None:
        index = Index(sequence=self._index.sequence + 1, files=files, writer=self._writer)
        _retried(lambda: self._store.write_index(index), self._tries)
        self._index = index

    def _write(self, name: str, slot: int, meter: Meter) -> StagedFile:
        place, advanced = place_of(name, slot), meter.advance
        size, digest = _retried(lambda: self._store.write(place, self._root / name, advanced), self._tries)
        meter.files += 1
        return StagedFile(size=size, sha256=digest, slot=slot)

    def _show(self, name: str) -> None:
        if self._shown is None or name.startswith(CHECKPOINTS):
            return
        with suppress(OSError):  # only for whoever looks on
            source, target = self._root / name, self._shown / name
            if source.stat().st_size <= _SHOWN_BYTES:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)


def _names(root: Path) -> list[str]:
    """Of all files; a folder that is removed while they are listed is no reason to have none."""
    for _ in range(_TRIES):
        with suppress(FileNotFoundError):
            return sorted(files_below(root))
    return sorted(files_below(root))


def _retried(action: Callable[[], T], tries: int) -> T:
    for number in range(1, tries):
        try:
            return action()
        except (FileNotFoundError, RefusedByStoreError):
            raise
        except OSError:
            time.sleep(_PAUSE_SECONDS * 2 ** (number - 1))
    return action()


def stamp_of(path: Path) -> Stamp:
    """By which a file that was not written to since is known.

    Raises:
        OSError: it is not there.
    """
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _is_same(path: Path, staged: StagedFile) -> bool:
    try:
        return path.stat().st_size == staged.size and file_sha256(path) == (staged.size, staged.sha256)
    except OSError:
        return False


def _unwritable(store: Store, error: OSError) -> OutputError:
    hint = "what is there is whole: resume the run when the store can be written again"
    return OutputError(f"the output {store} can't be written: {error}", hint=hint)
