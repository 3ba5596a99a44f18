"""`make bench`: the table of docs/explanation/performance.md. Pairs, in turns, on this machine; nothing is asserted, a
ratio is for reading.

The programs compared with live in `.bench`, a virtual environment of their own that is made here. Names as arguments
run those rows alone: `python -m tests.benchmarks help validate`.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys

from tests.benchmarks import azure, commands, data, docker, listing, sweep, training
from tests.benchmarks.pairs import Row, as_table

LARGE = "image-gpu"
"""It downloads gigabytes, and runs only where it is named."""
BENCHMARKS = {
    "help": commands.show_help,
    "validate": commands.validate,
    "start": training.first_step,
    "rate": training.steps_per_second,
    "sweep": sweep.trials,
    "ls": listing.ls,
    "fetch-small": data.fetch_small,
    "fetch-large": data.fetch_large,
    "fingerprint": data.fingerprint,
    "submit": azure.submit,
    "status": azure.status,
    "docker": docker.launcher,
    "rebuild": docker.rebuild,
    "image": docker.image_size,
    LARGE: lambda: docker.image_size("gpu"),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; default: all but {LARGE}"
    )
    names = parser.parse_args().names or [name for name in BENCHMARKS if name != LARGE]
    rows: list[Row] = []
    for name in names:
        print(f"{name} ...", file=sys.stderr, flush=True)
        rows += BENCHMARKS[name]()
    print(as_table(rows))
    print(f"\nPython {platform.python_version()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}.")


if __name__ == "__main__":
    main()
