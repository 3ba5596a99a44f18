"""What a person sees on a terminal of 80 and of 200 columns: a run, Ctrl-C, and a process that is killed.

The files in golden/screen have digits as 0, so that no time, speed or metric stands in the way. GOLDEN=write writes
them.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from tests.projects import Project, tiny_project

GOLDEN = Path(__file__).with_name("golden") / "screen"
PATIENCE = 120.0


class Screen:
    """A terminal in which a command runs."""

    def __init__(self, project: Project, columns: int) -> None:
        self._server = ["tmux", "-f", os.devnull, "-L", f"innereye-{os.getpid()}-{columns}"]
        self._project, self._columns = project, columns

    def run(self, *words: str) -> None:
        command = shlex.join([Path(sys.executable).with_name("innereye-run").name, *words])
        script = f'printf "$ {command}\\n"; {command}; echo "exit code $?"; sleep 300'
        size = ["-x", str(self._columns), "-y", "40"]
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        subprocess.run(
            [*self._server, "new-session", "-d", *size, script],
            check=True,
            cwd=self._project.root,
            env={**os.environ, "PATH": path, "NO_COLOR": "1", "LC_ALL": "C.UTF-8"},
        )

    def press(self, key: str) -> None:
        subprocess.run([*self._server, "send-keys", key], check=True)

    def shown(self) -> str:
        done = subprocess.run([*self._server, "capture-pane", "-p"], check=True, capture_output=True, text=True)
        return "".join(f"{line}\n" for line in done.stdout.rstrip().splitlines())

    def wait_for(self, pattern: str) -> str:
        """What is shown, as soon as the pattern is in it."""
        end = time.monotonic() + PATIENCE
        while not re.search(pattern, shown := self.shown()):
            assert time.monotonic() < end, shown
            time.sleep(0.05)
        return shown

    def training(self) -> psutil.Process:
        """The process that trains."""
        pid = subprocess.run(
            [*self._server, "display-message", "-p", "#{pane_pid}"], check=True, capture_output=True, text=True
        ).stdout
        children = psutil.Process(int(pid)).children(recursive=True)
        return next(each for each in reversed(children) if "--run-folder" in " ".join(each.cmdline()))

    def close(self) -> None:
        subprocess.run([*self._server, "kill-server"], check=False, stderr=subprocess.DEVNULL)


@pytest.fixture(params=[80, 200])
def screen(request: pytest.FixtureRequest, needs: Callable[..., None]) -> Iterator[Screen]:
    needs("torch", "tmux")
    with tempfile.TemporaryDirectory(prefix="screen-") as folder:  # of a length that is always the same
        opened = Screen(tiny_project(Path(folder)), request.param)
        try:
            yield opened
        finally:
            opened.close()


def check(screen: Screen, name: str) -> None:
    shown = screen.wait_for(r"exit code \d")
    masked = re.sub(r"screen-\w{8}", "screen-xxxxxxxx", re.sub(r"\d", "0", shown))
    file = GOLDEN / f"{name}-{screen._columns}.txt"
    if os.environ.get("GOLDEN") == "write":
        file.parent.mkdir(exist_ok=True)
        file.write_text(masked, encoding="utf-8")
    assert masked == file.read_text(encoding="utf-8")


def test_a_run(screen: Screen) -> None:
    screen.run("tiny.yaml", "--pause=0.3", "--num_epochs=2")
    bar = screen.wait_for(r"epoch 1 of 2 █+░* [2-6]/6  [\d.]+ it/s, \d+ s left  loss [\d.]+\n")
    assert max(len(line) for line in bar.splitlines()) <= screen._columns
    check(screen, "run")


def test_ctrl_c_names_the_epoch_and_the_command_that_resumes(screen: Screen) -> None:
    screen.run("tiny.yaml", "--pause=0.3", "--num_epochs=20")
    screen.wait_for("epoch 2 of 20 █")
    screen.press("C-c")
    check(screen, "ctrl-c")


def test_a_process_that_is_killed_is_said_with_what_to_do(screen: Screen) -> None:
    screen.run("tiny.yaml", "--pause=0.3", "--num_epochs=3")
    screen.wait_for("epoch 2 of 3 █")
    screen.training().kill()
    check(screen, "killed")
