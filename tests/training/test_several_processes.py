"""The tests of several_processes.py, in a process of their own: they fork their ranks, and a fork of a process that has
trained before may wait for ever for threads that it does not have.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path


def test_several_processes_stop_and_continue_in_the_middle_of_an_epoch(
    needs: Callable[..., None], tmp_path: Path
) -> None:
    needs("torch")
    tests = Path(__file__).with_name("several_processes.py")
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", f"--basetemp={tmp_path}"]
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTEST_ADDOPTS": ""}
    done = subprocess.run(
        [*words, str(tests)],
        cwd=tests.parents[2],
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")} | threads,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert " passed" in done.stdout and "skipped" not in done.stdout
