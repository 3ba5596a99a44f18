"""Tab, in the real shells, on a terminal of their own."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).with_name("project")
MARK = "LINE:"
START = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], "source <(innereye-run completion bash)"),
    "zsh": (["zsh", "-f", "-i"], "autoload -Uz compinit; compinit -D -u; source <(innereye-run completion zsh)"),
    "fish": (["fish", "--no-config", "-i"], "innereye-run completion fish | source"),
}
TYPED = [
    ("innereye-run vali\t", "innereye-run validate"),
    ("innereye-run tin\t", "innereye-run tiny.yaml"),
    ("innereye-run --targ\tdo\t", "innereye-run --target docker"),
    ("innereye-run tiny.yaml --num_l\t5", "innereye-run tiny.yaml --num_layers=5"),
    ("innereye-run tiny.yaml --flavour=so\t", "innereye-run tiny.yaml --flavour=sour"),
]


@pytest.fixture(scope="module", params=START)
def terminal(
    request: pytest.FixtureRequest, needs: Callable[..., None], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[int]:
    """The far end of a terminal on which a shell waits for a line."""
    needs(request.param)
    command, source = START[request.param]
    parent, child = pty.openpty()
    home = tmp_path_factory.mktemp("home")
    search = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    process = subprocess.Popen(
        command,
        cwd=PROJECT,
        stdin=child,
        stdout=child,
        stderr=child,
        env={**os.environ, "PATH": search, "TERM": "xterm", "HOME": str(home)},
        start_new_session=True,
        preexec_fn=own_terminal,
    )
    os.close(child)
    type_into(parent, f"{source}; echo REA''DY\n")
    read_until(parent, r"READY")
    yield parent
    process.kill()
    process.wait()
    os.close(parent)


@pytest.mark.parametrize(("typed", "completed"), TYPED, ids=[typed.strip() for typed, _ in TYPED])
def test_tab(terminal: int, typed: str, completed: str) -> None:
    for part in re.split(r"(?<=\t)", typed):
        type_into(terminal, part)
        if part.endswith("\t"):
            settle(terminal)
    # The line is not run but shown: to its beginning, and an echo before it.
    type_into(terminal, f"\x01echo {MARK[:2]}''{MARK[2:]} \n")
    shown = read_until(terminal, rf"{MARK} (.*?)\r?\n")
    assert re.findall(rf"{MARK} (.*?)\r?\n", shown)[-1].strip() == completed


def own_terminal() -> None:
    """Makes the terminal that standard input is the one of this process's session, as a login does."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def type_into(terminal: int, text: str) -> None:
    os.write(terminal, text.encode())


def read_until(terminal: int, pattern: str, *, seconds: float = 5) -> str:
    """What the terminal showed up to the first match."""
    deadline, shown = time.monotonic() + seconds, ""
    while not re.search(pattern, shown):
        if time.monotonic() > deadline:
            pytest.fail(f"no {pattern!r} in {shown!r}")
        if select.select([terminal], [], [], 0.1)[0]:
            shown += os.read(terminal, 65536).decode(errors="replace")
    return shown


def settle(terminal: int, *, quiet: float = 0.5) -> None:
    """Returns when the terminal has shown nothing for a while."""
    while select.select([terminal], [], [], quiet)[0]:
        os.read(terminal, 65536)
