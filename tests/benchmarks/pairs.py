"""Two measures taken in turns, so that what else the machine does weighs on both, and their ratio."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    what: str
    other: str
    unit: str
    ours: Sequence[float]
    theirs: Sequence[float]
    target: str

    @property
    def ratio(self) -> float:
        """The median of the ratios of the pairs: a pair shares its moment."""
        return median(a / b for a, b in zip(self.ours, self.theirs, strict=True))


def paired(ours: Callable[[], float], theirs: Callable[[], float], *, rounds: int) -> tuple[list[float], list[float]]:
    """`rounds` measures of each, in turns, each first every other time, after one of each that is dropped."""
    ours()
    theirs()
    a: list[float] = []
    b: list[float] = []
    for number in range(rounds):
        for measure, into in ((ours, a), (theirs, b)) if number % 2 == 0 else ((theirs, b), (ours, a)):
            into.append(measure())
        print(f"  pair {number + 1} of {rounds}: {a[-1]:.3f} and {b[-1]:.3f}", file=sys.stderr, flush=True)
    return a, b


def seconds_of(command: Sequence[str], *, cwd: Path) -> float:
    """The wall time of a program that has to end well.

    Raises:
        subprocess.CalledProcessError: it does not.
    """
    started = time.perf_counter()
    subprocess.run(command, cwd=cwd, check=True, stdin=subprocess.DEVNULL, capture_output=True, env=environment())
    return time.perf_counter() - started


def processor_seconds_of(command: Sequence[str], *, cwd: Path) -> float:
    """The processor time of a program that has to end well, with that of the programs that it started.

    Raises:
        subprocess.CalledProcessError: it does not.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds_of(command, cwd=cwd)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def environment() -> dict[str, str]:
    """This process's, in which Python keeps bytecode, as it does for what pip installed."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def as_table(rows: Sequence[Row]) -> str:
    lines = [
        "| what | innereye-run | compared with | median | ratio | target | pairs |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        digits = ".3f" if row.unit == "s" else ",.0f"
        ours, theirs = (f"{median(values):{digits}} {row.unit}" for values in (row.ours, row.theirs))
        cells = (row.what, ours, row.other, theirs, f"{row.ratio:.2f}", row.target, str(len(row.ours)))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
