"""Ctrl-C where a person follows a job on a terminal: asked whether to leave it or to cancel it."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.projects import Project
from tests.targets.azureml.conftest import address_in, newest

pytestmark = pytest.mark.usefixtures("image")

SLOW = ("--pause=0.2", "--num_epochs=8")
QUESTION = "[d] leave the job running, [c] cancel it, or [Enter] keep following: "
CTRL_C, CTRL_D = "\x03", "\x04"


class Terminal:
    """A process with a terminal of its own: what it shows, and the keys of who sits there."""

    def __init__(self, project: Project, environment: dict[str, str]) -> None:
        self._screen, inside = pty.openpty()
        self.shown = ""
        self._looked_at = 0
        self.process = subprocess.Popen(
            project.command("--target", "azureml", "tiny.yaml", *SLOW),
            cwd=project.root,
            stdin=inside,
            stdout=inside,
            stderr=inside,
            env={**os.environ, **environment, "NO_COLOR": "1"},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # so that Ctrl-C is a signal
        )
        os.close(inside)

    def wait_for(self, text: str) -> None:
        """Returns when `text` is shown, after what was waited for before."""
        deadline = time.monotonic() + 120
        while (at := self.shown.find(text, self._looked_at)) < 0:
            assert self._read(deadline), f"{text!r} is not in {self.shown!r}"
        self._looked_at = at + len(text)

    def press(self, keys: str) -> None:
        os.write(self._screen, keys.encode())

    def end(self) -> int:
        """The exit code, when all is shown."""
        deadline = time.monotonic() + 120
        while self._read(deadline):
            pass
        return self.process.wait(30)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._screen)

    def _read(self, deadline: float) -> bool:
        if not select.select([self._screen], [], [], max(0, deadline - time.monotonic()))[0]:
            return False
        try:
            data = os.read(self._screen, 100_000)
        except OSError:  # how a terminal says that nobody writes to it any more
            return False
        self.shown += data.decode().replace("\r\n", "\n")
        return True


@pytest.fixture
def terminal(project: Project, cloud: Any) -> Iterator[Terminal]:
    opened = Terminal(project, cloud.environment())
    try:
        yield opened
    finally:
        opened.close()


def test_a_job_is_cancelled_from_the_terminal_after_a_first_thought(terminal: Terminal) -> None:
    terminal.wait_for("epoch 1 of 8")
    terminal.press(CTRL_C)
    terminal.wait_for(QUESTION)
    terminal.press("\n")
    terminal.wait_for("epoch 2 of 8")
    terminal.press(CTRL_C)
    terminal.wait_for(QUESTION)
    terminal.press("c\n")
    terminal.wait_for("asked to save a checkpoint and end")
    assert terminal.end() == 143, terminal.shown
    assert terminal.shown.count("epoch 1 of 8") == 1
    assert "Traceback" not in terminal.shown
    run = Path(terminal.shown.splitlines()[-1])
    assert (run / "checkpoints" / "last.ckpt").is_file()
    assert json.loads((run / "run.json").read_text())["state"] == "stopped"


@pytest.mark.parametrize("keys", ["d\n", CTRL_C, CTRL_D], ids=["d", "ctrl-c", "ctrl-d"])
def test_a_job_is_left_running_from_the_terminal(project: Project, cloud: Any, terminal: Terminal, keys: str) -> None:
    terminal.wait_for("submitted")
    job = newest(cloud)
    asked = f"/jobs/{job.name}"
    deadline = time.monotonic() + 60
    while not [call for call in cloud.calls if call.request.verb == "GET" and call.request.path.endswith(asked)]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    time.sleep(1)  # it has asked for the job, and listens to Ctrl-C now
    terminal.press(CTRL_C)
    terminal.wait_for(QUESTION)
    terminal.press(keys)
    assert terminal.end() == 130, terminal.shown
    assert not job.is_finished and not job.canceled.is_set()
    job.cancel()
    address = address_in(terminal.shown.splitlines()[-1])
    assert address.endswith(asked)
    assert f"detached: the job keeps running; to follow it: innereye-run logs -f '{address}'" in terminal.shown
    assert f"innereye-run download '{address}'" in terminal.shown
    assert not re.search("Traceback|KeyboardInterrupt", terminal.shown)
    (kept,) = (project.root / "outputs").rglob("*.*/*")  # no run folder; what `download --all` reads
    assert kept.read_text() == f"{address}\n"
