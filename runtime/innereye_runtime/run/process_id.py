"""Which process started a container, such that one with the same number later on is not taken for it."""

from __future__ import annotations

import os
from pathlib import Path


def current_process() -> str:
    return _identity(os.getpid()) or str(os.getpid())


def identity_of(pid: int) -> str:
    """The process of that number, such that a later one of the same number is not taken for it."""
    return _identity(pid) or str(pid)


def is_alive(identity: str) -> bool:
    """Whether the process that `current_process` named is still there, on this machine."""
    pid, _, start = identity.partition("-")
    if start:
        return _identity(int(pid)) == identity
    try:
        os.kill(int(pid), 0)  # where there is no /proc, its number is all that is known of a process
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def of_this_boot(pid: str, start: str) -> bool:
    """Whether the process with that number and that start is there."""
    found = _identity(int(pid))
    return found is not None and found.split("-")[1] == start


def _identity(pid: int) -> str | None:
    """The process's number, its start in clock ticks since boot, and the boot; None where there is no such process."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        # The name in parentheses may hold blanks; the state is the first field after it, and the start the 20th.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else f"{pid}-{fields[19]}-{boot}"
