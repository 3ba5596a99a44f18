"""Copies a run folder to a remote store from outside of the processes that write to it, as training goes.

An index of the store lists files of one moment alone (`LinkedView`), so the newest index is a run that can be resumed,
whenever this process, the run or the machine is killed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from innereye_runtime.errors import OutputError, UsageError
from innereye_runtime.run.linked_view import LinkedView
from innereye_runtime.run.mirror_state import MirrorState
from innereye_runtime.run.paths import RunPaths
from innereye_runtime.run.staged_store import RefusedByStoreError, Store, TakenOverError
from innereye_runtime.run.stager import Stager, Stamp, stamp_of
from innereye_runtime.run.stager_meter import Meter

LOOK_SECONDS = 0.5
EVERY_SECONDS = 5.0
PATIENCE_SECONDS = 120.0
"""How long the end of a run waits for a store that fails."""
_PAUSE_SECONDS = 5.0
_SHARE = 20
"""A folder of so many files that a look at them takes a second is looked at every 20 seconds, checkpoints aside."""

Report = Callable[[str], None]


class Mirror:
    """One of each run at a time: `begin`, `start` while the run is active, `finish`."""

    def __init__(self, paths: RunPaths, store: Store, state: MirrorState, *, report: Report) -> None:
        self._paths = paths
        self._store = store
        self._state = state
        self._report = report
        self._view = LinkedView(paths.root)
        self._stager = Stager(self._view.folder, store, writer=state.writer, tries=2, report=report)
        self._copied: Mapping[str, Stamp] | None = None
        """The checkpoints that the newest index lists."""
        self._seen: dict[str, Stamp] = {}
        self._due = 0.0
        self._failing = False
        self._not_before = 0.0
        self._taken_over: TakenOverError | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._repeat, daemon=True, name="mirror")

    @property
    def progress(self) -> str:
        """How far the copy that is under way has come; '' where there is none."""
        return self._stager.progress

    def begin(self) -> None:
        """Makes sure that the store can be written, and that it has nothing of the run that the folder does not have.

        Raises:
            OutputError: it can't be written or read.
            UsageError: the run was continued in another folder.
        """
        try:
            ensure_not_further(self._store, self._state)
            self._view.begin()
            self._view.refresh()
            self._stager.attach({})
        except OSError as error:
            raise OutputError(f"the output {self._store} can't be used: {error}", hint="check the network") from error
        self._stager.open()

    def start(self) -> None:
        """From now on, checkpoints are copied as soon as they change, and all else every few seconds."""
        self._thread.start()

    def finish(self) -> None:
        """Copies everything, outputs.json last; called when the run has ended. A store that fails is tried again for
        `PATIENCE_SECONDS`.

        Raises:
            OutputError: the store can't be written.
        """
        try:
            self._ended.set()
            if self._thread.is_alive():
                self._thread.join()
            if self._taken_over is not None:
                raise self._unfinished(self._taken_over)
            self._finish_patiently()
        finally:
            self.close()

    def close(self) -> None:
        """Removes what was kept beside the run folder."""
        self._view.remove()

    def _finish_patiently(self) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                self._finish()
                break
            except (OutputError, OSError) as error:
                cause = error.__cause__ or error
                if isinstance(cause, RefusedByStoreError) or time.monotonic() > deadline:
                    raise self._unfinished(cause) from error
                self._fail(cause)
                time.sleep(_PAUSE_SECONDS)

    def _finish(self) -> None:
        if not self._view.refresh(ended=True):
            raise OSError(f"something still writes to {self._paths.root}, or it is gone")
        self._stager.finish()

    def _repeat(self) -> None:
        while not self._ended.wait(LOOK_SECONDS):
            try:
                if time.monotonic() >= self._not_before:
                    self._look()
            except TakenOverError as error:
                self._taken_over = error
                self._report(f"warning: nothing more is copied to {self._store}: {error}")
                return
            except OSError as error:
                self._fail(error)

    def _look(self) -> None:
        state = self._state_files()
        if state == self._seen and time.monotonic() < self._due:
            return
        began = time.monotonic()
        if not self._view.refresh():
            return  # a checkpoint is being saved; it is copied when it is in place
        looked = time.monotonic() - began
        checkpoints = self._view.checkpoints
        self._stager.copy(Meter(), checkpoints=checkpoints != self._copied)
        self._copied, self._seen = checkpoints, state
        self._due = time.monotonic() + max(EVERY_SECONDS, _SHARE * looked)
        if self._failing:
            self._failing = False
            self._report(f"the newest files are in {self._store} again")

    def _state_files(self) -> dict[str, Stamp]:
        """What is looked at twice a second."""
        found = {}
        with suppress(FileNotFoundError):
            for path in (self._paths.run_json, *self._paths.checkpoints.iterdir()):
                if path == self._paths.run_json or not path.name.startswith("."):
                    with suppress(FileNotFoundError):
                        found[path.name] = stamp_of(path)
        return found

    def _fail(self, error: BaseException) -> None:
        self._not_before = time.monotonic() + _PAUSE_SECONDS
        if not self._failing:
            self._failing = True
            self._report(f"warning: the newest files are not in {self._store} yet, trying again: {error}")

    def _unfinished(self, error: BaseException) -> OutputError:
        hint = f"the run folder is kept; innereye-run resume {self._paths.root} finishes the copy"
        if isinstance(error, TakenOverError):
            hint = f"the run was resumed from there; what {self._paths.root} has beyond that is kept"
        return OutputError(f"the copy in {self._store} is not complete: {error}", hint=hint)


def ensure_not_further(store: Store, state: MirrorState) -> None:
    """Nothing for a copy that has no more of the run than the folder of `state`.

    Raises:
        OSError: the store can't be read.
        UsageError: it has.
    """
    for newest in store.indexes()[:1]:
        if not state.includes(newest):
            raise UsageError(
                f"{store} was written from another run folder, and this one does not have what is there",
                hint=f"move this folder away and resume the copy: innereye-run resume {store}",
            )
