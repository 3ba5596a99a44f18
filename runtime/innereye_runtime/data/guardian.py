"""Runs as a process of its own, started by `mounting`: `guardian.py MOUNTPOINT COMMAND...`.

Starts the command, which mounts and stays, and waits until its standard input closes: then it unmounts and ends the
command. Uses nothing but the standard library, so that it starts at once.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

PATIENCE = 10.0


def main(mountpoint: str, command: list[str]) -> int:
    """The exit code of the command, which is not running any more."""
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)  # the end of the pipe is the one sign that counts
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=_default_signals)
    threading.Thread(target=_end_with_the_pipe, args=(mountpoint, child), daemon=True).start()
    return child.wait()


def _default_signals() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _end_with_the_pipe(mountpoint: str, child: subprocess.Popen[bytes]) -> None:
    while os.read(0, 4096):
        pass
    child.terminate()  # rclone unmounts, where no file is open
    try:
        child.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        child.kill()
    subprocess.run(["fusermount3", "-u", "-z", mountpoint], capture_output=True, check=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
