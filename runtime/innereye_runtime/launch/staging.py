"""The staging of a run whose folder is local to each node: restored before anything else, finished after all else.

On the first node the run folder goes to the output. What the ranks of another node write themselves (their logs, their
own files, how they failed) goes to a place of that node below `.staging/`, and the first node takes it over from there:
at the end of training, and when a rank of that node has failed.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from innereye_runtime.errors import InnerEyeError, OutputError, PreflightError
from innereye_runtime.job.rank_end import VARIABLE as OWN_LAUNCHER
from innereye_runtime.job.ranks import Ranks
from innereye_runtime.run.folder_lock import ensure_free
from innereye_runtime.run.paths import RunPaths
from innereye_runtime.run.process_id import current_process, is_alive
from innereye_runtime.run.record import RunRecord, record_exit
from innereye_runtime.run.staged_restore import fetch_all, restore
from innereye_runtime.run.staged_store import Index, OutputStore
from innereye_runtime.run.stager import Stager, Stamp, stamp_of

_PATIENCE_SECONDS = 3600.0
_POLL_SECONDS = 0.1
_SHOWN = "outputs"
"""Of the working directory of a job in AzureML, which shows these files under "Outputs + logs"."""

Report = Callable[[str], None]


class Staging:
    """That of one node. `begin` and `finish` are of the process that was started there first; where that starts ranks,
    the first of them has one too, and uses its `stager`.
    """

    def __init__(self, paths: RunPaths, output: Path, ranks: Ranks, *, nodes: int, cwd: Path, report: Report) -> None:
        self._paths = paths
        self._store = OutputStore(output)
        self._node = 0 if ranks.is_first else max(ranks.node_rank, 1)
        self._others = range(1, nodes) if ranks.is_first else range(0)
        self._own = self._store.of_node(self._node) if self._node else self._store
        self._is_first_process = OWN_LAUNCHER not in os.environ
        self._report = report
        self._taken: set[str] = set()
        self._restored: Mapping[str, Stamp] = {}
        shown = cwd / _SHOWN if os.environ.get("AZUREML_RUN_ID") and not self._node else None
        self.stager = Stager(paths.root, self._own, shown=shown, report=report, on_look=self._look)

    def begin(self) -> None:
        """Makes the local folder what the output has.

        Raises:
            OutputError: the output can't be written.
            UsageError: another process is at work in the folder, or it is none of a run.
        """
        ensure_free(self._paths)
        found = restore(self._paths.root, self._store)
        for note in found.notes:
            self._report(f"warning: {note}")
        self.stager.continue_from(found.index if not self._node else Index(), found.index.files)
        if self._node:
            self._restore_own()
        self._restored = self.stager.stamps
        self.stager.open()

    def attach(self, restored: Mapping[str, Stamp]) -> None:
        """Continues what `begin` of the process that started this one began. `restored`: the stamps that it gave.

        Raises:
            OSError: the output can't be read.
        """
        self._restored = restored
        self.stager.attach(restored)

    def begin_attempt(self) -> None:
        """Begins the attempt in the record of a node that is not the first, where its ranks say how they end."""
        if self._node and self._is_first_process:
            record = RunRecord.read(self._paths)
            record.begin_attempt(socket.gethostname())
            record.write(self._paths)

    def collect(self) -> None:
        """Takes over what the other nodes have by now, where the first has not written such a file in this attempt.
        What can't be had is reported.
        """
        for node in self._others:
            store, lost = self._store.of_node(node), ""
            try:
                for index in store.indexes()[:1]:
                    wanted = {name: staged for name, staged in index.files.items() if self._takes(name)}
                    lost = ", ".join(fetch_all(self._paths.root, store, wanted)[:5])
                    self._taken |= wanted.keys()
            except OSError as error:
                lost = str(error)
            if lost:
                self._report(f"warning: files that node {node} wrote are not in the run folder: {lost}")

    def finish(self, exit_code: int) -> int:
        """The exit code of the run, when all of its files are in the output. Where they can't be, that is its end."""
        if not self._is_first_process:
            return exit_code
        try:
            self._finish(fails=exit_code != 0)
        except OutputError as error:
            self._report(f"error: {error}\nhint: {error.hint}")
            if exit_code:
                return exit_code
            self._paths.outputs_json.unlink(missing_ok=True)
            with suppress(InnerEyeError, OSError):
                record_exit(self._paths, error.exit_code, str(error), earlier=0)
            return error.exit_code
        return exit_code

    def _finish(self, *, fails: bool) -> None:
        try:
            if not self.stager.is_started:  # the first rank had one
                self.stager.attach({})
        except OSError as error:
            raise _unreadable(self._store, error) from error
        if fails:
            self.collect()  # the logs of other nodes, for whoever looks for the cause
        with self._progress_on_signals():
            self.stager.finish()

    def _takes(self, name: str) -> bool:
        return name != self._paths.run_json.name and (name in self._taken or not self._is_written(name))

    def _is_written(self, name: str) -> bool:
        """Whether a rank of this node wrote a file of this name in this attempt."""
        with suppress(FileNotFoundError):
            return stamp_of(self._paths.root / name) != self._restored.get(name)
        return False

    def _restore_own(self) -> None:
        """What this node's ranks wrote in earlier attempts, where the first node has not taken it over."""
        for index in self._own.indexes()[:1]:
            missing = {name for name in index.files if name == self._paths.run_json.name}
            wanted = {
                name: staged
                for name, staged in index.files.items()
                if name not in missing and not (self._paths.root / name).exists()
            }
            missing |= set(fetch_all(self._paths.root, self._own, wanted))
            files = {name: staged for name, staged in wanted.items() if name not in missing}
            self.stager.continue_from(Index(sequence=index.sequence, files=files), files)

    def _look(self) -> None:
        """Ends the attempt in run.json where a rank of another node has failed by itself, as one of this node does."""
        with suppress(InnerEyeError, OSError):
            for node in self._others:
                store, name = self._store.of_node(node), self._paths.run_json.name
                for index in store.indexes()[:1]:
                    if name not in index.files:
                        continue
                    theirs = RunRecord.read(RunPaths((store.folder / index.files[name].place(name)).parent))
                    record = RunRecord.read(self._paths)
                    if (
                        record.state == "running"
                        and theirs.exit_code
                        and theirs.attempt.number >= record.attempt.number
                    ):
                        record.end_attempt(theirs.state, theirs.exit_code, theirs.reason)
                        record.write(self._paths)

    @contextmanager
    def _progress_on_signals(self) -> Iterator[None]:
        """While it is open, a stop is answered by how far the copies have come, and they continue: whoever asks may
        end this process in a moment, and what counts in the output is whole then.
        """

        def on_signal(signum: int, frame: FrameType | None) -> None:
            how_far = self.stager.progress or "all files but the last are in the output"
            with suppress(RuntimeError):  # it interrupted a report
                self._report(f"{signal.Signals(signum).name} while the output is written: {how_far}")

        previous = {each: signal.signal(each, on_signal) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for signum, handler in previous.items():
                signal.signal(signum, handler)


def open_staging(
    paths: RunPaths, output: Path, ranks: Ranks, *, nodes: int, cwd: Path, report: Report
) -> Staging | None:
    """The staging of this process's node, with the local folder restored; None for a further process of the node, which
    waits for that.

    Raises:
        OutputError: the output can't be written.
        PreflightError: the folder is not restored in an hour.
        UsageError: another process is at work in the folder, or it is none of a run.
    """
    restored = paths.root.with_name(f".{paths.root.name}.restored")
    is_first_process = OWN_LAUNCHER not in os.environ
    if not ranks.is_first_on_node:
        if is_first_process:
            _wait_for(restored)
        return None
    staging = Staging(paths, output, ranks, nodes=nodes, cwd=cwd, report=report)
    try:
        if is_first_process:
            restored.unlink(missing_ok=True)
            staging.begin()
            text = json.dumps({"process": current_process(), "stamps": staging.stager.stamps})
            restored.write_text(text, encoding="utf-8")
        else:
            stamps = json.loads(restored.read_text(encoding="utf-8"))["stamps"]
            staging.attach({name: (stamp[0], stamp[1], stamp[2]) for name, stamp in stamps.items()})
    except OSError as error:
        raise _unreadable(OutputStore(output), error) from error
    return staging


def _unreadable(store: OutputStore, error: OSError) -> OutputError:
    return OutputError(f"the output {store.folder} can't be read: {error}", hint="see whether it is mounted")


def _wait_for(restored: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        with suppress(FileNotFoundError, ValueError):  # not there, or not whole
            if is_alive(
                json.loads(restored.read_text(encoding="utf-8"))["process"]
            ):  # else it is of an earlier attempt
                return
        if time.monotonic() > deadline:
            raise PreflightError(
                "the first process of this node did not restore the run folder in an hour", hint="see its log"
            )
        time.sleep(_POLL_SECONDS)
