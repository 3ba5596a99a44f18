"""One process at a time in a run folder, and what `status` says of one that is gone."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from innereye_runtime.errors import UsageError
from innereye_runtime.run import folder_lock
from innereye_runtime.run.folder_lock import announce, ensure_free, held, holder_of, withdraw
from innereye_runtime.run.output_manifest import verify, write_outputs
from innereye_runtime.run.paths import RunPaths
from innereye_runtime.run.process_id import current_process
from innereye_runtime.run.record import RunRecord, is_complete
from innereye_runtime.targets.process_runs import ProcessRun

HOLD = """
import os, sys, time
from pathlib import Path
from innereye_runtime.run.folder_lock import held
from innereye_runtime.run.paths import RunPaths
with held(RunPaths(Path(sys.argv[1])), launcher=sys.argv[2] or None):
    worker = os.fork()  # as a data loader does: it inherits what is open, and outlives the process
    if worker:
        print(worker, flush=True)
    time.sleep(60)
"""


@contextmanager
def holding(paths: RunPaths, *, launcher: str = "") -> Iterator[subprocess.Popen[str]]:
    """A process that works in the folder, with a worker that outlives it for as long as this block takes."""
    command = [sys.executable, "-c", HOLD, str(paths.root), launcher]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        worker = process.stdout.readline().strip()
        try:
            yield process
        finally:
            process.kill()
            if worker:
                os.kill(int(worker), signal.SIGKILL)


def test_a_folder_at_work_is_refused_and_its_holder_named_until_it_is_dead(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path)
    with holding(paths) as process:
        named = f"process {process.pid} on {socket.gethostname()} since 20"
        for enter in (announce, ensure_free):
            with pytest.raises(UsageError, match=named) as refusal:
                enter(paths)
            assert refusal.value.exit_code == 2
        with pytest.raises(UsageError, match="is running in"), held(paths, launcher=None):
            pass
        process.kill()
        process.wait()
        assert holder_of(paths) is None  # though its worker is there
        announce(paths)
    withdraw(paths)
    assert not paths.lock.exists()


def test_a_launcher_keeps_the_folder_for_the_process_that_it_starts(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path)
    announce(paths)
    with holding(paths, launcher="another") as refused:
        assert refused.wait(timeout=30) == 1
        assert refused.stderr is not None
        assert f"process {os.getpid()} on" in refused.stderr.read()
    with holding(paths, launcher=current_process()) as process:
        assert (holder := holder_of(paths)) is not None
        assert holder.process.startswith(f"{process.pid}-")
    assert paths.lock.exists()  # the launcher may start it again
    withdraw(paths)
    assert not paths.lock.exists()


def record(paths: RunPaths, state: str) -> RunRecord:
    written = RunRecord(id="r", model="M", target="process", state="starting")
    if state != "starting":
        written.begin_attempt(socket.gethostname())
    if state == "completed":
        written.end_attempt("completed", 0, "")
    written.write(paths)
    return written


@pytest.mark.parametrize(
    ("state", "does"),
    [
        ("starting", "trains from the start"),
        ("running", "continues from its newest"),
        ("completed", "finishes the report"),
    ],
)
def test_a_run_whose_process_is_gone_is_lost_and_says_what_resume_does(tmp_path: Path, state: str, does: str) -> None:
    paths = RunPaths(tmp_path)
    written = record(paths, state)
    if state == "running":
        paths.checkpoints.mkdir()
        paths.last_checkpoint.write_bytes(b"x")
    assert not is_complete(paths, written)
    status = ProcessRun(paths).status()
    assert (status["state"], status["exit_code"]) == ("lost", None)
    assert f"innereye-run resume {paths.root} {does}" in status["reason"]
    if state != "starting":  # on another machine, nobody here knows
        written.attempts[0].host = "elsewhere"
        written.write(paths)
        assert ProcessRun(paths).status()["state"] != "lost"


class Dead(BaseException):
    pass


@pytest.mark.parametrize("at", [0, 1])
def test_a_run_that_is_killed_while_its_outputs_are_listed_is_not_complete(tmp_path: Path, at: int) -> None:
    paths = RunPaths(tmp_path)
    written = record(paths, "running")

    def complete() -> None:
        if at == 1:
            record(paths, "completed")
        raise Dead

    with pytest.raises(Dead):
        write_outputs(paths.root, complete=complete)
    assert not is_complete(paths, RunRecord.read(paths))
    assert ProcessRun(paths).status()["state"] == "lost"
    assert verify(paths.root)
    written.end_attempt("completed", 0, "")
    write_outputs(paths.root, complete=lambda: written.write(paths))
    assert is_complete(paths, RunRecord.read(paths))
    assert ProcessRun(paths).status()["state"] == "completed"
    assert verify(paths.root) == ()


def test_of_two_that_start_at_once_one_works_and_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_lock, "_SECONDS", 0.1)
    for race in range(50):
        paths = RunPaths(tmp_path / str(race))
        paths.root.mkdir()
        go, went = os.pipe()
        ends = [fork_contender(paths, go, went) for _ in range(2)]
        os.close(go)
        os.close(went)  # both see the end of the pipe at once
        codes = sorted(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in ends)
        assert codes == [0, 2], f"race {race}: {codes}"
        assert not paths.lock.exists()


def fork_contender(paths: RunPaths, go: int, went: int) -> int:
    """A process that works in the folder until nobody else can have been refused only for being late."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.close(went)
            os.read(go, 1)
            with held(paths, launcher=None):
                (paths.root / f"{os.getpid()}.works").touch()
                code = 0
                deadline = time.monotonic() + 10
                while not list(paths.root.glob("*.refused")) and time.monotonic() < deadline:
                    time.sleep(0.005)
        except UsageError as error:
            code = int(error.exit_code)
            (paths.root / f"{os.getpid()}.refused").touch()
        finally:
            os._exit(code)
    return pid
