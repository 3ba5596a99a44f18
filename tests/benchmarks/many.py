"""A hundred detached jobs of one manifest in Azure, each of which really runs, and one fails by the user's code: what
submitting, waiting and downloading take of this machine. `python -m tests.benchmarks.many [--jobs N]`; an hour.

The service is the emulator of this checkout, which runs two jobs at a time in the image innereye-runtime:cpu
(INNEREYE_TEST_IMAGE names another). Ends with 1 where a run is not here, not verified or not named.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.benchmarks.commands import ROOT, innereye_run
from tests.benchmarks.pairs import environment
from tests.projects import tiny_project

IMAGE = os.environ.get("INNEREYE_TEST_IMAGE", "innereye-runtime:cpu")
MANIFEST = f"""\
schema: 1
container: {{class: Tiny, namespaces: [tiny], args: {{num_epochs: 1}}}}
compute:
  target: azureml
  azureml: {{cluster: cpu, image: "{IMAGE}", experiment: many}}
environment: {{OMP_NUM_THREADS: "1"}}
"""
MOST_SECONDS, MOST_MB = 2.0, 150.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    exit_code: int
    stdout: str
    stderr: str
    clock: float
    """Seconds."""
    processor: float
    """Seconds, with those of the processes that it started."""
    peak: float
    """MB that were resident at once, of the largest of these processes."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.many", description=__doc__)
    parser.add_argument("--jobs", type=int, default=100, metavar="N")
    jobs: int = parser.parse_args().jobs

    from azureml_emulator.emulator import open_emulator

    with tempfile.TemporaryDirectory() as folder, open_emulator(ROOT, most_running=2) as cloud:
        root = tiny_project(Path(folder), MANIFEST).root
        variables = {**environment(), **cloud.environment()}
        failing = jobs // 2
        submitted = []
        for number in range(jobs):
            words = ["--detach", "tiny.yaml", f"--width={4 + number % 60}"]
            words += ["--misbehaviour=raise"] if number == failing else []
            submitted.append(_measured(words, root, variables))
            assert submitted[-1].exit_code == 0, submitted[-1].stderr
        addresses = [one.stdout.splitlines()[-1] for one in submitted]
        waited = _measured(["wait", *addresses], root, variables)
        home = _measured(["download", "--all"], root, variables)
        runs = [Path(line) for line in home.stdout.splitlines()]
        verified = [run for run in runs if _measured(["verify", str(run)], root, variables).exit_code == 0]
        failed = [line for line in home.stderr.splitlines() if "ended with exit code" in line]
        ended = sum(line.endswith("exit code 0") for line in waited.stdout.splitlines())
    clock, processor = [one.clock for one in submitted], [one.processor for one in submitted]
    print(f"submitted: {jobs}; each {_spread(clock)} s by the clock and {_spread(processor)} s of the processor")
    largest = max(one.peak for one in submitted)
    print(f"peak memory: {largest:.0f} MB to submit, {waited.peak:.0f} MB to wait, {home.peak:.0f} MB to download all")
    print(f"waited for: {ended} of {jobs} ended with 0; {waited.clock:.0f} s and {waited.processor:.1f} s")
    print(f"downloaded: {len(runs)}, verified: {len(verified)}; {home.clock:.0f} s and {home.processor:.1f} s")
    print(f"failed: {'; '.join(failed)}")
    is_small = max(one.peak for one in (*submitted, waited, home)) < MOST_MB
    is_fast = median(processor) < MOST_SECONDS
    is_whole = len(runs) == jobs and len(verified) >= jobs - 1 and ended == jobs - 1 and len(failed) == 1
    return 0 if is_small and is_fast and is_whole else 1


def _spread(seconds: Sequence[float]) -> str:
    return f"{median(seconds):.2f} (at most {max(seconds):.2f})"


def _measured(words: Sequence[str], root: Path, variables: Mapping[str, str]) -> Measured:
    """What `innereye-run` with these words came to, and took."""
    with tempfile.TemporaryFile("w+") as stdout, tempfile.TemporaryFile("w+") as stderr:
        began = time.perf_counter()
        child = subprocess.Popen(
            [innereye_run(), *words], cwd=root, env=variables, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr
        )
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        clock = time.perf_counter() - began
        stdout.seek(0)
        stderr.seek(0)
        return Measured(
            exit_code=child.returncode,
            stdout=stdout.read(),
            stderr=stderr.read(),
            clock=clock,
            processor=used.ru_utime + used.ru_stime,
            peak=used.ru_maxrss / 1024,
        )


if __name__ == "__main__":
    sys.exit(main())
