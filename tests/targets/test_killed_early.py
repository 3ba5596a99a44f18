"""A job that ends before it can say so: the launcher tells its end, and keeps that of an earlier attempt."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from innereye_runtime.job.entrypoint_args import EntrypointArgs
from innereye_runtime.manifest.model import Compute, Container, Manifest, Retries
from innereye_runtime.run.paths import RunPaths
from innereye_runtime.run.record import RunRecord
from innereye_runtime.targets.process import ProcessHandle, ProcessPlan


def start(folder: Path, script: str) -> ProcessHandle:
    """A job that goes on in `folder`, whose running side is a script."""
    program = folder / "program"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o700)
    plan = ProcessPlan(
        executable=str(program),
        request=EntrypointArgs(manifest=folder / "manifest.yaml"),
        text=None,
        model_name="Tiny",
        outputs_folder=folder,
        environment={},
        manifest=Manifest(
            path=None,
            name="tiny",
            container=Container(class_name="Tiny"),
            compute=Compute(retries=Retries(infrastructure=1)),
        ),
        datasets=(),
        mountpoints=(),
        processes=1,
    )
    return ProcessHandle(plan, RunPaths(folder), stdout=sys.stderr.fileno())


@pytest.fixture
def paths(tmp_path: Path) -> RunPaths:
    """A run with an attempt that failed."""
    paths = RunPaths(tmp_path)
    record = RunRecord(id="tiny", model="Tiny", target="process")
    record.begin_attempt("host")
    record.end_attempt("failed", 1, "RuntimeError: the data is upside down")
    record.write(paths)
    return paths


def test_what_an_earlier_attempt_told_is_kept(paths: RunPaths) -> None:
    assert start(paths.root, "kill -KILL $$").wait() == 137
    record = RunRecord.read(paths)
    first, second, third = record.attempts
    assert (first.state, first.exit_code, first.reason) == ("failed", 1, "RuntimeError: the data is upside down")
    for number, attempt in ((2, second), (3, third)):
        assert (attempt.number, attempt.state, attempt.exit_code) == (number, "failed", 137)
        assert "killed (SIGKILL)" in attempt.reason
    assert record.reason == third.reason


def test_a_stop_before_the_job_hears_of_signals_is_a_stop(paths: RunPaths) -> None:
    job = start(paths.root, "exec sleep 60")
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)).start()
    assert job.wait() == 143
    record = RunRecord.read(paths)
    assert (record.state, record.reason) == ("stopped", "stopped (SIGTERM)")


def test_a_stop_between_two_attempts_ends_the_second(paths: RunPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    job = start(paths.root, f"mkdir {paths.root}/begun || exec sleep 60\nkill -KILL $$")
    begin = subprocess.Popen.__init__

    def begin_after_a_signal(*arguments: Any, **options: Any) -> None:
        if (paths.root / "begun").exists():
            os.kill(os.getpid(), signal.SIGTERM)
        begin(*arguments, **options)

    monkeypatch.setattr(subprocess.Popen, "__init__", begin_after_a_signal)
    assert job.wait() == 143
    assert RunRecord.read(paths).reason == "stopped (SIGTERM)"


def test_children_of_a_job_that_was_killed_are_killed_too(paths: RunPaths) -> None:
    job = start(paths.root, f"sleep 60 & echo $! >> {paths.root}/children\nkill -KILL $$")
    assert job.wait() == 137
    first, second = (paths.root / "children").read_text().split()
    for child in (first, second):
        by = time.monotonic() + 10  # the kernel ends what was killed in its own time
        while not ended(child) and time.monotonic() < by:
            time.sleep(0.01)
        assert ended(child)


def ended(process: str) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state.rpartition(")")[2].split()[0] == "Z"


def test_a_hangup_stops_a_job_as_sigterm_does(paths: RunPaths) -> None:
    job = start(paths.root, "exec sleep 60")
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGHUP)).start()
    assert job.wait() == 143
    assert RunRecord.read(paths).reason == "stopped (SIGTERM)"
