"""Identities of processes, such that a later process with the same number is not taken for an earlier one."""

from __future__ import annotations

import os
from pathlib import Path


def process_identity() -> str:
    """The identity of this process: its number, its start in clock ticks since boot, and the boot."""
    return _identity(os.getpid()) or str(os.getpid())


def is_alive(identity: str) -> bool:
    """Whether the process with that identity runs on this machine."""
    pid, _, start = identity.partition("-")
    if start:
        return _identity(int(pid)) == identity
    try:
        os.kill(int(pid), 0)  # without /proc, the number is all that is known of a process
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _identity(pid: int) -> str | None:
    """None: there is no such process, or no /proc."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        # The name in parentheses may contain blanks; the state is the first field after it, and the start the 20th.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else f"{pid}-{fields[19]}-{boot}"
