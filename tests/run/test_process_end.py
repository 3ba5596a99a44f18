"""A process that was asked to end does not take its interpreter apart, and loses nothing by it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

PROGRAM = """
import atexit, sys, threading, time
from innereye_runtime.run.process_end import leave

class Large:
    def __del__(self):
        time.sleep(20)

folder, exit_code = sys.argv[1], int(sys.argv[2])
large = [Large()]
if exit_code == 0:
    Large.__del__ = lambda self: print("taken apart", flush=True)
lines = open(folder + "/lines.txt", "w")
lines.write("not flushed")
atexit.register(lambda: print("at exit", flush=True))
threading.Thread(target=lambda: (time.sleep(0.3), print("thread", flush=True))).start()
leave(exit_code)
"""


@pytest.mark.parametrize(("exit_code", "taken_apart"), [(143, False), (130, False), (0, True)])
def test_a_stopped_process_ends_at_once_and_whole(tmp_path: Path, exit_code: int, taken_apart: bool) -> None:
    started = time.monotonic()
    words = [sys.executable, "-c", PROGRAM, str(tmp_path), str(exit_code)]
    ended = subprocess.run(words, capture_output=True, text=True)
    assert time.monotonic() - started < 15
    assert ended.returncode == exit_code
    assert ended.stdout.splitlines()[:2] == ["thread", "at exit"]
    assert ("taken apart" in ended.stdout) == taken_apart
    assert (tmp_path / "lines.txt").read_text() == "not flushed"
