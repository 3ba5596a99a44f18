"""logs/console.log has every byte that was printed, by whomever, and both streams stay apart for who reads them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import os, subprocess, sys
from pathlib import Path
from innereye_runtime.training.lifecycle.console import tee_output
with tee_output(Path(sys.argv[1])):
    print("by python", flush=True)
    print("to stderr", file=sys.stderr)
    os.write(1, b"by descriptor: \\xff\\xc3\\r50%\\r100%\\n")
    subprocess.run(["sh", "-c", "echo by a child; echo its stderr >&2"])
    if sys.argv[2] == "kill":
        sys.stdout.flush()
        os.kill(os.getpid(), 9)
    if sys.argv[2] == "orphan":
        subprocess.Popen(["sleep", "20"], stdin=subprocess.DEVNULL)
print("afterwards")
"""
STDOUT = b"by python\nby descriptor: \xff\xc3\r50%\r100%\nby a child\n"
STDERR = b"to stderr\nits stderr\n"


def record(tmp_path: Path, how: str) -> tuple[subprocess.CompletedProcess[bytes], bytes]:
    log = tmp_path / "logs" / "console.log"
    command = [sys.executable, "-c", SCRIPT, str(log), how]
    done = subprocess.run(command, capture_output=True, timeout=60)
    return done, log.read_bytes()


def test_all_is_passed_on_and_all_is_kept(tmp_path: Path) -> None:
    done, log = record(tmp_path, "end")
    assert (done.returncode, done.stdout, done.stderr) == (0, STDOUT + b"afterwards\n", STDERR)
    # The order of the two streams among each other isn't kept, that within each is.
    assert sorted(log.splitlines()) == sorted((STDOUT + STDERR).splitlines())


def test_what_was_printed_before_a_hard_kill_is_kept(tmp_path: Path) -> None:
    done, log = record(tmp_path, "kill")
    assert done.returncode == -signal.SIGKILL
    assert sorted(log.splitlines()) == sorted((STDOUT + STDERR).splitlines())


def test_a_child_that_lives_on_does_not_hold_the_run_up(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "console.log"), "orphan"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read().endswith(b"afterwards\n")
        assert process.wait(10) == 0


def test_a_reader_that_has_gone_stops_neither_the_run_nor_its_log(tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    reader, writer = os.pipe()
    os.close(reader)
    script = SCRIPT.replace("flush=True)", "flush=True)\n    time.sleep(0.5)")
    script = "import time\n" + script.replace('print("afterwards")', "")
    command = [sys.executable, "-c", script]
    done = subprocess.run([*command, str(log), "end"], stdout=writer, stderr=subprocess.PIPE, timeout=60)
    os.close(writer)
    assert b"BrokenPipe" not in done.stderr, done.stderr
    assert done.returncode == 0
    assert sorted(log.read_bytes().splitlines()) == sorted((STDOUT + STDERR).splitlines())
