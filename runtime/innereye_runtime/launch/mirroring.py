"""The remote copy of a run folder: `outputs.folder` is a URL, and the run's folder lies there under the run's name."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from innereye_runtime.data.sources.blobs import BlobUrl
from innereye_runtime.errors import ExitCode, InnerEyeError, OutputError, UsageError
from innereye_runtime.manifest.dataset_ids import canonical, is_remote
from innereye_runtime.manifest.model import Manifest
from innereye_runtime.run.blob_store import BlobStore
from innereye_runtime.run.linked_view import folder_beside, remove_folder_beside
from innereye_runtime.run.mirror import Mirror, ensure_not_further
from innereye_runtime.run.mirror_state import MirrorState
from innereye_runtime.run.output_manifest import restore_links, verify
from innereye_runtime.run.paths import RunPaths
from innereye_runtime.run.record import RunRecord, is_complete
from innereye_runtime.run.staged_restore import Restored, restore
from innereye_runtime.run.writer_lease import WriterLease

if TYPE_CHECKING:
    from innereye_runtime.run.staged_store import Index

Report = Callable[[str], None]
_DOWNLOAD = ".download"


@dataclass(frozen=True, slots=True, kw_only=True)
class Downloaded:
    paths: RunPaths
    files: int
    is_over: bool
    exit_code: int | None


class Mirroring:
    """The copying of one run folder by this process, from `begin` to `finish`."""

    def __init__(self, paths: RunPaths, folder: str, *, report: Report) -> None:
        """`folder`: where the folders of all runs are."""
        url = copy_of(folder, paths)
        state = MirrorState.read(paths, url)
        store = BlobStore(BlobUrl.parse(url), writer=state.writer)
        self._paths = paths
        self._store = store
        self._report = report
        self._state = state
        self._lease = WriterLease(store, previous=state.lease_of_the_gone, report=report)
        self._mirror = Mirror(paths, store, state, report=report)

    @property
    def progress(self) -> str:
        """How far the copy that is under way has come; '' where there is none."""
        return self._mirror.progress

    def begin(self) -> None:
        """From now on the folder is copied as the run writes to it.

        Raises:
            OutputError: the store can't be written.
            PreflightError: it can't be used at all.
            UsageError: another process writes to the copy, or the run was continued elsewhere.
        """
        self._lease.acquire()
        try:
            self._state = self._state.held_by_this_process(self._lease.id)
            self._state.write(self._paths)
            self._mirror.begin()
        except BaseException:
            self._mirror.close()
            self._lease.release()
            raise
        self._mirror.start()

    def finish(self, exit_code: int) -> int:
        """The exit code of the run, when its copy is complete. Where it can't be, that is reported, and is the end of a
        run that is done.
        """
        try:
            self._mirror.finish()
        except OutputError as error:
            self._report(f"error: {error}\nhint: {error.hint}")
            return exit_code or error.exit_code
        finally:
            self._lease.release()
            with suppress(OSError):  # a folder that is gone
                self._state.held_by_none().write(self._paths)
        return exit_code


def copy_of(folder: str, paths: RunPaths) -> str:
    """The URL of a run's copy below `folder`."""
    return f"{folder}/{paths.root.name}"


def check_copy(manifest: Manifest, run_folder: Path | None) -> None:
    """Nothing where run folders stay on this machine, and where they can be copied. `run_folder`: of the run that is
    resumed.

    Raises:
        PreflightError: the store can't be used.
        UsageError: the run was continued in another folder.
    """
    folder = manifest.outputs.remote
    if not folder:
        return
    store = BlobStore(BlobUrl.parse(folder if run_folder is None else copy_of(folder, RunPaths(run_folder))))
    store.check()
    if run_folder is not None:
        try:
            ensure_not_further(store, MirrorState.read(RunPaths(run_folder), str(store)))
        except OSError as error:
            raise _unreadable(str(store), error) from error


def finish_copy(manifest: Manifest, paths: RunPaths, *, report: Report) -> int:
    """0 when the copy of a run that is complete is complete too.

    Raises:
        InnerEyeError: as `Mirroring.begin`.
    """
    folder = manifest.outputs.remote
    if not folder:
        return ExitCode.DONE
    check_copy(manifest, paths.root)
    store = BlobStore(BlobUrl.parse(copy_of(folder, paths)))
    with suppress(OSError):
        if store.read_bytes(paths.outputs_json.name) == paths.outputs_json.read_bytes():
            return ExitCode.DONE
    mirroring = Mirroring(paths, folder, report=report)
    mirroring.begin()
    exit_code = mirroring.finish(ExitCode.DONE)
    if not exit_code:
        report(f"the copy in {store} is complete")
    return exit_code


def restore_run(text: str, outputs: Path, *, report: Report) -> RunPaths:
    """The run folder below `outputs`, with what the copy at the URL `text` has. A folder that has all of it already
    stays as it is.

    Raises:
        OutputError: the copy can't be read, or is damaged.
        UsageError: there is no run at the URL, another process writes to it, or an older folder of the run is here.
    """
    url, paths = _place(text, outputs)
    if paths.run_json.exists():
        try:
            ensure_not_further(BlobStore(url), MirrorState.read(paths, str(url)))
        except OSError as error:
            raise _unreadable(str(url), error) from error
        return paths
    if paths.root.is_file() or (paths.root.is_dir() and any(paths.root.iterdir())):
        raise UsageError(f"{paths.root} is already here, and is not a run folder", hint="move it away")
    state = MirrorState.new(str(url))
    store = BlobStore(url, writer=state.writer)
    _newest(store)
    lease = WriterLease(store, report=report)
    lease.acquire()
    try:
        for note in _fetch(store, state, paths).notes:
            report(f"warning: {note}")
    finally:
        lease.release()
    report(f"restored {paths.root.name} from {url}")
    return paths


def download_run(text: str, outputs: Path, *, report: Report) -> Downloaded:
    """The run folder below `outputs`, as the copy at the URL `text` has it now; verified where the run is complete.

    Raises:
        OutputError: the copy can't be read, or arrived damaged.
        UsageError: there is no run at the URL, or a folder of that name exists that `download` did not write.
    """
    url, paths = _place(text, outputs)
    store, state, files = BlobStore(url), MirrorState(url=str(url), writer=""), 0
    _newest(store)
    if not _is_here(paths):
        if paths.root.exists() and not MirrorState.is_download(paths, str(url)):
            raise UsageError(f"{paths.root} is already here, and not a download", hint="name another --to FOLDER")
        found = _fetch(store, state, paths)
        if found.missing:
            raise OutputError(
                f"{store}: {found.loss}",
                hint=f"{paths.root} has {'what was there before' if found.is_older else 'everything else'}",
            )
        files = len(found.index.files)
    record = RunRecord.read(paths)
    is_over = record.state not in ("starting", "running")
    return Downloaded(paths=paths, files=files, is_over=is_over, exit_code=record.exit_code)


def _is_here(paths: RunPaths) -> bool:
    """Whether the folder has a run that is complete, with every file as it was written."""
    return paths.run_json.exists() and is_complete(paths, RunRecord.read(paths)) and not verify(paths.root)


def _fetch(store: BlobStore, state: MirrorState, paths: RunPaths) -> Restored:
    """What was fetched from the store. The run folder is in its place when all that could be had is in it, and verified
    where the run is complete.
    """
    beside = RunPaths(folder_beside(paths.root, _DOWNLOAD))
    remove_folder_beside(paths.root, _DOWNLOAD)
    try:
        found = restore(beside.root, store)
        state.restored_from(_newest(store) if found.missing else found.index).write(beside)
        with suppress(FileNotFoundError):
            if content := store.read_bytes(beside.outputs_json.name):
                beside.outputs_json.write_bytes(content)
                restore_links(beside.root)
    except OSError as error:
        remove_folder_beside(paths.root, _DOWNLOAD)  # of a disk that is full, too
        raise _unreadable(str(store), error) from error
    if beside.outputs_json.exists() and (problems := verify(beside.root)):
        remove_folder_beside(paths.root, _DOWNLOAD)
        raise OutputError(f"{store} arrived damaged: {'; '.join(problems[:5])}", hint="download it again")
    shutil.rmtree(paths.root, ignore_errors=True)
    beside.root.rename(paths.root)
    remove_folder_beside(paths.root, _DOWNLOAD)
    return found


def _place(text: str, outputs: Path) -> tuple[BlobUrl, RunPaths]:
    if not is_remote(text) or "?" in text:
        raise UsageError("that is not the URL of a run", hint="write azure://ACCOUNT/CONTAINER/PATH/RUN")
    try:
        url = BlobUrl.parse(canonical(text.rstrip("/")))
    except InnerEyeError as error:
        raise UsageError(str(error), hint="write azure://ACCOUNT/CONTAINER/PATH/RUN") from error
    name = url.path.rpartition("/")[2]
    if not name or name in (".", ".."):
        raise UsageError(f"{url} is not the URL of a run", hint="write azure://ACCOUNT/CONTAINER/PATH/RUN")
    return url, RunPaths(outputs / name)


def _newest(store: BlobStore) -> Index:
    store.check()
    try:
        for index in store.indexes()[:1]:
            return index
    except OSError as error:
        raise _unreadable(str(store), error) from error
    raise UsageError(f"{store} is not the copy of a run", hint="write azure://ACCOUNT/CONTAINER/PATH/RUN")


def _unreadable(url: str, error: OSError) -> OutputError:
    return OutputError(f"{url} can't be read: {error}", hint="check the network, and try again")
