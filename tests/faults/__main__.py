"""`make faults`, or `python -m tests.faults`: drills every variant with every seed, and keeps each result in a file.

A bench that was interrupted continues where it was: what the file has is not run again. It ends with 1 where a broken
run differs from the unbroken one and does not itself say why, or did not end as it should.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.faults import reruns

PROJECT = Path(__file__).with_name("project")
_PROGRAM = (sys.executable, "-P", "-c", "import sys; from innereye_runtime.cli.main import main; sys.exit(main())")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="drills of each variant; default: 20")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--kills", type=int, default=2, help="kills in each drill; default: 2")
    parser.add_argument("--signals", type=int, default=2, help="signals in each drill; default: 2")
    parser.add_argument("--variants", nargs="*", default=variants())
    parser.add_argument("--results", type=Path, default=Path("build/faults.jsonl"))
    parser.add_argument("--stops", type=int, default=200, help="stops of containers, where Docker is; 0: none")
    points = "file operations before which a job is killed, on process and docker; default: all of them; 0: none"
    parser.add_argument("--kill-points", type=int, default=1000, help=points)
    ranks = "ranks to kill, in as many jobs on each target that is there; default: 40; 0: none"
    parser.add_argument("--rank-kills", type=int, default=40, help=ranks)
    parser.add_argument("--no-reruns", action="store_true", help="do not run runs of ten kinds again")
    options = parser.parse_args(argv)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background of a shell it is ignored
    options.results.parent.mkdir(parents=True, exist_ok=True)
    done = {(one["variant"], one["seed"]): one for one in results(options.results)}
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        for variant in options.variants:
            if (variant, seed) not in done:
                one = drill(variant, seed, kills=options.kills, signals=options.signals)
                done[variant, seed] = one
                with options.results.open("a") as file:
                    file.write(json.dumps(one) + "\n")
                print(f"{variant}, seed {seed}: {'; '.join(one['problems'] or one['named']) or 'equal'}", flush=True)
    wrong = [one for one in done.values() if one["problems"]]
    breaks = sum(len(one["breaks"]) for one in done.values())
    print(f"{breaks} breaks in {len(done)} drills, {len(wrong)} of them with a difference; {options.results}")
    more = {
        ("tests/targets/docker/test_stops.py", "INNEREYE_STOPS"): options.stops,
        ("tests/targets/test_kill_points.py", "INNEREYE_KILL_POINTS"): options.kill_points,
        ("tests/targets/docker/test_kill_points.py", "INNEREYE_KILL_POINTS"): options.kill_points,
        ("tests/launch/test_rank_kills.py", "INNEREYE_RANK_KILLS"): options.rank_kills,
        ("tests/targets/docker/test_rank_kills.py", "INNEREYE_RANK_KILLS"): options.rank_kills,
        ("tests/slurm/test_slurm.py", "INNEREYE_RANK_KILLS"): options.rank_kills,
    }
    held = [hold(test, variable, count) for (test, variable), count in more.items() if count > 0]
    held += [] if options.no_reruns else [reruns.main() == 0]
    return int(bool(wrong) or not all(held))


def variants() -> list[str]:
    """The names of the variants, from the source of the project: it imports PyTorch."""
    tree = ast.parse((PROJECT / "faulted.py").read_text())
    found = next(node.value for node in tree.body if isinstance(node, ast.AnnAssign))
    return list(ast.literal_eval(found)) if found is not None else []


def results(file: Path) -> Iterator[dict[str, Any]]:
    """What earlier benches found; the last line may be half a one, of a bench that was killed."""
    for line in file.read_text().splitlines() if file.exists() else ():
        try:
            yield json.loads(line)
        except ValueError:
            continue


def drill(variant: str, seed: int, *, kills: int, signals: int) -> dict[str, Any]:
    """One drill in a folder of its own, which stays where something differs."""
    folder = Path(tempfile.mkdtemp(prefix=f"faults-{variant}-{seed}-"))
    shutil.copytree(PROJECT, folder, dirs_exist_ok=True)
    counts = [f"--kills={kills}", f"--signals={signals}", f"--seed={seed}"]
    command = [*_PROGRAM, "drill", "--json", "faults.yaml", *counts, f"--variant={variant}"]
    ended = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    breaks = json.loads(ended.stdout)["breaks"] if ended.returncode in (0, 6) and ended.stdout else []
    problems = [
        f"{one['kind']} after {one['after']:.1f} s: {text}"
        for one in breaks
        for text in one["differences"]
        if not one["named"] or not is_of_values(text)
    ]
    named = sorted({f"different, as {reason}" for one in breaks if one["differences"] for reason in one["named"]})
    if len(breaks) != kills + signals:
        problems.append(f"the drill ended with exit code {ended.returncode}: {ended.stderr[-500:]}")
    if not problems:
        shutil.rmtree(folder)
    return {
        "variant": variant,
        "seed": seed,
        "breaks": breaks,
        "problems": problems,
        "named": named,
        "folder": str(folder),
    }


def is_of_values(difference: str) -> bool:
    """Whether a run that says that it may differ may do so in this: not in how it ends."""
    return not difference.startswith(("ended with", "took", "did not complete"))


def hold(test: str, variable: str, count: int) -> bool:
    """Whether a test passes with as many breaks; True also where it needs an engine and there is none."""
    command = [sys.executable, "-m", "pytest", "-q", test]
    return subprocess.run(command, env={**os.environ, variable: str(count)}).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
