"""Runs as a process of its own, started by `mounting`: `guardian.py FOLDER COMMAND...`.

Starts the command, which mounts FOLDER/data and stays, and waits until its standard input closes: then it ends the
command, unmounts and deletes FOLDER. Uses nothing but the standard library, so that it starts at once.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys

UNMOUNT_TIMEOUT = 10.0


def main(folder: str, command: list[str]) -> int:
    """0 after the pipe's end; the exit code of the command where that comes first."""
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)  # the end of the pipe is the one sign that counts
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=_default_signals)
    while child.poll() is None:
        readable, _, _ = select.select([0], [], [], 0.5)
        if readable and not os.read(0, 4096):
            break
    ended = child.returncode
    child.terminate()  # rclone unmounts, where no file is open
    try:
        child.wait(UNMOUNT_TIMEOUT)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    unmount(folder, delete=ended is None)
    return ended or 0


def unmount(folder: str, *, delete: bool = True) -> None:
    """Unmounts FOLDER/data, where anything is mounted there, and deletes FOLDER once nothing is."""
    mountpoint = f"{folder}/data"
    subprocess.run(["fusermount3", "-u", "-z", mountpoint], capture_output=True, check=False)
    if delete and not os.path.ismount(mountpoint):
        shutil.rmtree(folder, ignore_errors=True)


def _default_signals() -> None:
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_DFL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
