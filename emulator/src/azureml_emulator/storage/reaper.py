"""Runs as a process of its own, started by `azurite`: `reaper.py FOLDER LABEL COMMAND...`.

Starts the command, Azurite, and waits until its standard input closes, which happens however the emulator ends. Then it
ends the command. If no byte was sent first, the emulator was killed: the reaper also deletes FOLDER and the containers,
networks and images of its jobs, which have LABEL. It imports the standard library only, so that it starts fast.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
import time

TERMINATE_TIMEOUT = 10.0
SWEEPS = 4
"""What was being created when the emulator was killed appears a moment later, so one removal is not enough."""


def main(folder: str, label: str, command: list[str]) -> int:
    """0 after the end of the pipe; the exit code of the command if it ends first."""
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)  # the end of the pipe is the only signal to stop
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=_default_signals)
    stopped_in_order = b""
    while child.poll() is None:
        readable, _, _ = select.select([0], [], [], 0.5)
        if readable:
            stopped_in_order = os.read(0, 1)
            break
    ended = child.returncode
    child.terminate()
    try:
        child.wait(TERMINATE_TIMEOUT)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    if ended is None and not stopped_in_order:
        _remove_jobs(label)
        shutil.rmtree(folder, ignore_errors=True)
    return ended or 0


def _remove_jobs(label: str) -> None:
    for _ in range(SWEEPS):
        for listing, removal in (
            (("ps", "--all", "--quiet"), ("rm", "--force", "--volumes")),
            (("network", "ls", "--quiet"), ("network", "rm")),
            (("images", "--quiet"), ("rmi", "--force")),
        ):
            found = _docker(*listing, "--filter", f"label={label}").split()
            if found:
                _docker(*removal, *found)
        time.sleep(0.5)


def _docker(*words: str) -> str:
    try:
        done = subprocess.run(["docker", *words], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    except FileNotFoundError:
        return ""  # without Docker, no job has run
    return done.stdout


def _default_signals() -> None:
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_DFL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
