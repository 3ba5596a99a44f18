"""`innereye-run drill MANIFEST`: breaks a job at random moments, resumes it, and compares it with the unbroken run."""

from __future__ import annotations

import csv
import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from innereye_runtime.cli.ui.job_options import JobArguments, job_parser, resolve_job_options
from innereye_runtime.cli.ui.parser import Parser
from innereye_runtime.cli.ui.terminal import eprint, print_result, show_diagnostics
from innereye_runtime.errors import ExitCode, InnerEyeError, OutputError, UsageError

if TYPE_CHECKING:
    from innereye_runtime.job.resolve import Job
    from innereye_runtime.run.record import RunRecord

GRACE_SECONDS = 10.0
"""How long a run has to end after a signal."""


class Arguments(JobArguments):
    kills: int
    signals: int
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """One run that was broken once and resumed to its end."""

    kind: str
    """SIGKILL, SIGTERM or SIGINT."""
    after: float
    """Seconds from the start of the run."""
    run: str
    ended_in: float
    """Seconds from the break to the end of the processes."""
    differences: tuple[str, ...]
    """What differs from the unbroken run; empty: nothing."""
    named: tuple[str, ...]
    """Why it may, as its attempts say themselves (`because` and `notes` in run.json)."""


def parser() -> Parser:
    parser = job_parser(
        "drill",
        about="Runs a job, then runs it again once for each break: kills it or sends it a signal at a random moment,\n"
        "resumes it, and compares weights and metrics with the unbroken run. Exit code 6: something differs.",
        examples=["innereye-run drill manifests/hello.yaml --kills=3 --signals=3 --num_epochs=5"],
        smoke="drill a run on two batches of each split, for one epoch",
        json="print one JSON object: run, breaks",
    )
    parser.add_argument("--kills", type=int, default=5, metavar="N", help="how many runs to kill; default: 5")
    parser.add_argument("--signals", type=int, default=5, metavar="N", help="how many runs to stop; default: 5")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the moments; default: 0")
    return parser


def run(argv: Sequence[str]) -> int:
    options = parser()
    arguments, overrides = options.read(argv, Arguments())
    if min(arguments.kills, arguments.signals) < 0:
        options.error("--kills and --signals are numbers of runs", hint="write 0 for none of a kind")
    job = resolve_job_options(options, arguments, overrides)
    show_diagnostics(job.warnings)
    if job.manifest.compute.target != "process":
        raise UsageError(
            f"drill breaks processes of this machine, not runs of target {job.manifest.compute.target}",
            hint="add --target process",
        )
    drill = Drill(job, random.Random(arguments.seed), smoke=arguments.smoke)
    unbroken, seconds = drill.unbroken()
    eprint(f"unbroken: {unbroken}, {seconds:.0f} s")
    kinds = ["SIGKILL"] * arguments.kills
    kinds += [("SIGTERM", "SIGINT")[number % 2] for number in range(arguments.signals)]
    breaks = []
    for number, kind in enumerate(kinds, start=1):
        one = drill.broken(number, kind, unbroken, seconds)
        eprint(f"{number}/{len(kinds)}: {kind} after {one.after:.1f} s: {'; '.join(one.differences) or 'equal'}")
        for reason in one.named if one.differences else ():
            eprint(f"  as its run.json says: {reason}")
        breaks.append(one)
    different = [one for one in breaks if one.differences]
    if arguments.json:
        print_result(json.dumps({"run": str(unbroken), "breaks": [asdict(one) for one in breaks]}))
    else:
        print_result(f"{len(breaks) - len(different)} of {len(breaks)} broken runs equal the unbroken one")
    if different:
        eprint(
            "hint: Lightning restores what is in a checkpoint. Save what your code keeps elsewhere (plain attributes "
            "of the model, the data or a callback; files; a generator of its own) in on_save_checkpoint, or seed it"
        )
    return ExitCode.OUTPUTS if different else ExitCode.DONE


class Drill:
    """The runs of one drill, each in a folder of its own below `outputs/drill-<time>`."""

    def __init__(self, job: Job, moments: random.Random, *, smoke: bool) -> None:
        from innereye_runtime.manifest.model import Retries
        from innereye_runtime.manifest.serializer import dump

        self._moments = moments
        self._root = job.outputs_folder / f"drill-{time.strftime('%Y-%m-%dT%H%M%SZ', time.gmtime())}"
        self._root.mkdir(parents=True)
        self._words = ["--smoke"] if smoke else []
        self._overrides = job.overrides
        self._dump, self._manifest = dump, job.manifest
        self._no_retries = Retries(preempted=0, infrastructure=0, user=0)
        self._cwd = job.cwd

    def unbroken(self) -> tuple[Path, float]:
        """The run folder, and how long the run took.

        Raises:
            OutputError: it failed.
        """
        began = time.monotonic()
        folder = self._root / "unbroken"
        launcher = self._launch(folder)
        launcher.wait()
        if launcher.returncode != ExitCode.DONE:
            raise OutputError(
                f"the unbroken run ended with exit code {launcher.returncode}",
                hint=f"run the manifest alone first; its log is below {folder}",
            )
        return _run_in(folder), time.monotonic() - began

    def broken(self, number: int, kind: str, unbroken: Path, seconds: float) -> Break:
        """One run that is broken by `kind` at a random moment of its `seconds`, and resumed until it is complete."""
        folder = self._root / f"broken-{number}"
        after = self._moments.uniform(0.0, seconds)
        launcher = self._launch(folder)
        _wait(launcher, after)
        broken = time.monotonic()
        over = launcher.poll() is not None
        if not over:
            _break(launcher, kind, folder)
        launcher.wait()
        ended_in = time.monotonic() - broken
        differences = [] if over else list(_bad_end(launcher.returncode, kind, ended_in, folder.with_suffix(".log")))
        run = self._resumed(folder)
        differences += _compare(unbroken, run)
        return Break(
            kind=kind,
            after=after,
            run=str(run),
            ended_in=ended_in,
            differences=tuple(differences),
            named=tuple(dict.fromkeys(text for each in _record(run).attempts for text in [*each.because, *each.notes])),
        )

    def _resumed(self, folder: Path) -> Path:
        """The run folder, complete; a run that was broken before it had one is started again."""
        try:
            run = _run_in(folder)
        except OutputError:
            self._launch(folder).wait()
            return _run_in(folder)
        if not _is_complete(run, _record(run)):
            self._start(folder, "resume", str(run)).wait()
        return run

    def _launch(self, folder: Path) -> subprocess.Popen[bytes]:
        manifest = folder.with_suffix(".yaml")
        compute = replace(self._manifest.compute, retries=self._no_retries)
        outputs = replace(self._manifest.outputs, folder=folder)
        manifest.write_text(self._dump(replace(self._manifest, compute=compute, outputs=outputs)), encoding="utf-8")
        return self._start(folder, "run", *self._words, str(manifest), *self._overrides)

    def _start(self, folder: Path, *words: str) -> subprocess.Popen[bytes]:
        with folder.with_suffix(".log").open("ab") as log:
            return subprocess.Popen(
                [*_PROGRAM, *words],
                cwd=self._cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
            )


_PROGRAM = (sys.executable, "-P", "-c", "import sys; from innereye_runtime.cli.main import main; sys.exit(main())")


def _wait(launcher: subprocess.Popen[bytes], seconds: float) -> None:
    try:
        launcher.wait(seconds)
    except subprocess.TimeoutExpired:
        return


def _break(launcher: subprocess.Popen[bytes], kind: str, folder: Path) -> None:
    """A signal goes to the launcher, as a terminal or a scheduler sends it; SIGKILL takes the job itself too."""
    from innereye_runtime.targets.process_runs import run_processes

    if kind != "SIGKILL":
        launcher.send_signal(signal.Signals[kind])
        return
    jobs = [one for one in run_processes() if one.folder.is_relative_to(folder)]
    launcher.kill()
    for one in jobs:
        try:
            os.killpg(one.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _bad_end(exit_code: int, kind: str, ended_in: float, log: Path) -> Iterator[str]:
    wanted = {"SIGTERM": ExitCode.STOPPED, "SIGINT": ExitCode.INTERRUPTED}.get(kind)
    if wanted is None:
        return
    ended_by_it = -signal.Signals[kind]  # before Python could listen: shells and schedulers see the same number
    was_starting = log.read_bytes().startswith(b"Fatal Python error: init_")  # SIGINT alone: Python ends with 1
    if exit_code not in (wanted, ExitCode.DONE, ended_by_it) and not was_starting:  # it may have been done already
        yield f"ended with exit code {exit_code}, not {wanted}"
    if ended_in > GRACE_SECONDS:
        yield f"took {ended_in:.0f} s to end"


def _run_in(folder: Path) -> Path:
    """The one run below `folder`."""
    runs = sorted(path.parent for path in folder.glob("*/run.json"))
    if not runs:
        raise OutputError(f"there is no run in {folder}", hint=f"see {folder.with_suffix('.log')}")
    return runs[0]


def _record(run: Path) -> RunRecord:
    from innereye_runtime.run.paths import RunPaths
    from innereye_runtime.run.record import RunRecord

    return RunRecord.read(RunPaths(run))


def _is_complete(run: Path, record: RunRecord) -> bool:
    from innereye_runtime.run.paths import RunPaths
    from innereye_runtime.run.record import is_complete

    return is_complete(RunPaths(run), record)


def _compare(unbroken: Path, run: Path) -> Iterator[str]:
    """What differs between two complete runs of one manifest, in words."""
    try:
        one, other = _record(unbroken), _record(run)
    except InnerEyeError as error:
        yield str(error)
        return
    if not _is_complete(run, other):
        yield f"did not complete: {other.reason or other.state}"
        return
    for name in ("last", "best"):
        if _weights(one, name) != _weights(other, name):
            yield f"the weights of {name}.ckpt differ"
    for split in sorted({*one.metrics, *other.metrics}):
        names = sorted({*one.metrics.get(split, {}), *other.metrics.get(split, {})})
        for name in names:
            values = (one.metrics.get(split, {}).get(name), other.metrics.get(split, {}).get(name))
            if not _same(*values):
                yield f"{name}: {values[0]} and {values[1]}"
    first = _first_difference(unbroken / "metrics.csv", run / "metrics.csv")
    if first:
        yield first


def _weights(record: RunRecord, name: str) -> Any:
    return (record.checkpoints.get(name) or {}).get("weights_sha256")


def _same(one: float | None, other: float | None) -> bool:
    return one == other or (one is not None and other is not None and math.isnan(one) and math.isnan(other))


def _first_difference(one: Path, other: Path) -> str:
    """The first row of two metrics.csv that differs, by its epoch and step."""
    rows = [list(csv.DictReader(path.read_text().splitlines())) if path.is_file() else [] for path in (one, other)]
    for left, right in zip(*rows, strict=False):
        names = [name for name in left if left[name] != right.get(name)]
        if names:
            return f"metrics.csv differs from epoch {left.get('epoch')}, step {left.get('step')} on: {', '.join(names)}"
    return "" if len(rows[0]) == len(rows[1]) else f"metrics.csv has {len(rows[0])} rows and {len(rows[1])}"
