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
class Cycle:
    def __init__(self):
        self.itself = self
    def __del__(self):
        print("a cycle is freed", flush=True)

Cycle()
lines = open(folder + "/lines.txt", "w")
lines.write("not flushed")
atexit.register(lambda: print("at exit", flush=True))
threading.Thread(target=lambda: (time.sleep(0.3), print("thread", flush=True))).start()
leave(exit_code, forked=sys.argv[3] == "forked")
"""


@pytest.mark.parametrize(
    ("exit_code", "way", "taken_apart"),
    [(143, "own", False), (130, "own", False), (0, "own", True), (0, "forked", False), (1, "forked", False)],
)
def test_a_stopped_process_and_a_fork_end_at_once_and_whole(
    tmp_path: Path, exit_code: int, way: str, taken_apart: bool
) -> None:
    started = time.monotonic()
    words = [sys.executable, "-c", PROGRAM, str(tmp_path), str(exit_code), way]
    ended = subprocess.run(words, capture_output=True, text=True)
    assert time.monotonic() - started < 15
    assert ended.returncode == exit_code
    shown = ended.stdout.splitlines()
    assert [line for line in shown if line in ("thread", "at exit")] == ["thread", "at exit"]
    assert ("taken apart" in shown) == taken_apart
    assert ("a cycle is freed" in shown) == (exit_code not in (143, 130))
    assert (tmp_path / "lines.txt").read_text() == "not flushed"
