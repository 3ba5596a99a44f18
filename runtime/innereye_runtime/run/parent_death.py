"""A signal from the kernel at the end of the parent: prctl(2), PR_SET_PDEATHSIG. Only on Linux."""

from __future__ import annotations

import ctypes
import sys

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform.startswith("linux") else None  # here: a forked child should load nothing


def signal_at_parent_death(signum: int) -> None:
    """From now on this process gets `signum` when the thread that started it ends; the caller looks whether that has
    happened before."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signum, 0, 0, 0)
