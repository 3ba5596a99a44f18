"""A run as it is open: its folder, its record and what the steps of training hand to each other."""

from __future__ import annotations

import io
import logging
import os
import platform
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, chdir, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from innereye_runtime import __version__
from innereye_runtime.diagnostics.rendering import render
from innereye_runtime.errors import ExitCode, ManifestError, UsageError
from innereye_runtime.job import provenance
from innereye_runtime.job.launch_context import LaunchContext
from innereye_runtime.job.rank_end import RankEnd
from innereye_runtime.job.ranks import Ranks
from innereye_runtime.job.resolve import Job
from innereye_runtime.launch.staging import Staging
from innereye_runtime.manifest.serializer import dump, to_data
from innereye_runtime.redaction import redacted
from innereye_runtime.run.background_hash import BackgroundHasher
from innereye_runtime.run.paths import RunPaths
from innereye_runtime.run.record import RunRecord, release_disk_space, reserve_disk_space, state_of
from innereye_runtime.run.temporaries import remove_temporaries
from innereye_runtime.training.lifecycle.console import tee_output
from innereye_runtime.training.lifecycle.new_attempt import NewAttemptError
from innereye_runtime.training.lifecycle.outcome import outcome_of
from innereye_runtime.training.lifecycle.root_cause import find_root_cause, kind_of, record_failure
from innereye_runtime.training.lifecycle.signals import StopFlag, check_stop, defer_signals, stop_on_signals
from innereye_runtime.training.lifecycle.tracebacks import format_traceback, format_whole_traceback
from innereye_runtime.training.lifecycle.trackers import tracked

log = logging.getLogger("innereye_runtime")


@dataclass(slots=True, kw_only=True)
class Run:
    """The run folder and its record. Only the first rank's record is written."""

    job: Job
    paths: RunPaths
    ranks: Ranks
    record: RunRecord
    exit_code: int = ExitCode.DONE
    begins_again: bool = False
    """This attempt is over, and the run is not: the next one follows at once."""
    hashed_ahead: BackgroundHasher | None = None
    staging: Staging | None = None
    """Of the first rank of a node, where the run folder is local and its files go to an output."""

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Takes the time of one step; it stands in run.json under `timings`, in seconds.

        Raises:
            StopRequested: this process was asked to stop, before the step or in it.
        """
        check_stop()
        started = time.monotonic()
        try:
            yield
            check_stop()
        finally:
            self.record.timings[name] = round(time.monotonic() - started, 3)

    def _log_traceback(self, error: BaseException, reason: str) -> None:
        """Shows the user's own frames; all of them go to a file in logs/."""
        rank = "" if self.ranks.is_first else f".rank{self.ranks.global_rank}"
        file = self.paths.logs / f"traceback{rank}.log"
        whole = format_whole_traceback(error)
        shown = format_traceback(error, package=self.job.location.module.partition(".")[0])
        with suppress(OSError):
            file.write_text(whole + "\n", encoding="utf-8", errors="replace")
        if self.job.debug:
            shown = whole
        elif shown != whole:
            frames, _, last = shown.rpartition("\n")
            frames = (frames if reason.startswith(last) else shown) if "  File " in shown else ""
            shown = f"{frames}\n  ... the whole traceback is in {file.relative_to(self.paths.root)}".lstrip("\n")
        # On the stream of the lines below it: two streams keep no order between them where they meet again.
        log.error("%s", shown)

    def write(self) -> None:
        if self.ranks.is_first:
            self.record.write(self.paths)

    @defer_signals()
    def stage(self) -> None:
        """Where the run folder is local to the node: all files are in the output when this returns."""
        if self.staging is not None:
            self.staging.stager.save()

    @contextmanager
    def record_errors(self) -> Iterator[None]:
        """No exception leaves the block: it is shown, it ends the attempt, and its exit code is the run's.

        After a signal that is the exit code of the stop, whatever the framework or the user's code made of it.
        """
        stop: StopFlag | None = None
        try:
            with stop_on_signals() as stop:
                yield
        except BaseException as raised:  # also SystemExit of the user's code, and our own StopRequested
            error = (stop.requested if stop else None) or raised
            if isinstance(error, NewAttemptError):
                log.warning("warning: %s", error)
                self.begins_again = True
                self.record.pass_on(str(error))
                return
            outcome = outcome_of(error)
            if self.job.debug and outcome.show_traceback:
                from innereye_runtime.training.lifecycle.debugging import offer_debugger

                offer_debugger(error)
            if not self.ranks.is_first:
                record_failure(self.paths, self.ranks.global_rank, error, outcome)
                self.stage()  # before the first rank misses this one
            elif self.record.state == "running":
                outcome = find_root_cause(self.paths, self.record.attempt.number, error, outcome)
            if outcome.show_traceback:
                self._log_traceback(error, outcome.reason)
            if isinstance(error, ManifestError):
                log.error("%s", render(error.diagnostics, "text"))
            log.error("error: %s", outcome.reason)
            if outcome.hint:
                log.error("hint: %s", outcome.hint)
            RankEnd(kind=kind_of(error), exit_code=outcome.exit_code, reason=outcome.reason).write()
            self.exit_code = outcome.exit_code
            self.record.end_attempt(state_of(outcome.exit_code), outcome.exit_code, outcome.reason)


@contextmanager
def open_run(job: Job, paths: RunPaths, *, target: str | None, staging: Staging | None = None) -> Iterator[Run]:
    """A run in the folder `paths`: its next attempt begins here, and ends with the block, whatever ends that
    (`Run.record_errors`).

    Inside, the working directory is the run folder, and all output goes to logs/console.log too.
    """
    launch = LaunchContext.read()
    os.environ.update(launch.secrets)
    ranks = Ranks.from_environment(os.environ, nodes=job.manifest.compute.nodes)
    run = Run(job=job, paths=paths, ranks=ranks, record=_record(job, paths, target or "process", launch))
    run.staging = staging
    run.record.begin_attempt(socket.gethostname())
    with ExitStack() as stack:
        for folder in (paths.root, paths.checkpoints, paths.logs):
            folder.mkdir(parents=True, exist_ok=True)
        if ranks.is_first:
            paths.outputs_json.unlink(missing_ok=True)  # not complete any more
            remove_temporaries(paths)
            run.write()
            reserve_disk_space(paths.run_json)
            paths.manifest.write_text(dump(job.manifest), encoding="utf-8")
            if not job.debug:  # the debugger reads and writes the terminal itself
                own = [paths.rank_log(0)] if ranks.processes > 1 else []
                stack.enter_context(tee_output(paths.console_log, *own))
            _log_to_console()
        elif not _is_collected(paths.rank_log(ranks.global_rank)):
            stack.enter_context(tee_output(paths.rank_log(ranks.global_rank)))
        run.stage()  # a restart counts this attempt
        if staging is not None:
            staging.stager.start()
        stack.enter_context(chdir(paths.root))
        stack.enter_context(tracked(run))
        stack.enter_context(run.record_errors())
        yield run
    run.write()
    if ranks.is_first:
        release_disk_space(paths.run_json)


def _record(job: Job, paths: RunPaths, target: str, launch: LaunchContext) -> RunRecord:
    if paths.run_json.exists():
        record = RunRecord.read(paths)
        if record.model != job.model_name:
            raise UsageError(
                f"{paths.root} holds a run of {record.model}, and the manifest names {job.model_name}",
                hint="give each model a run folder of its own",
            )
        if not record.attempts and launch.run:
            record.id = launch.run
    else:
        record = RunRecord(id=launch.run or paths.root.name, model=job.model_name, target=target)
    record.target = target
    record.smoke = job.smoke
    record.manifest = to_data(job.manifest)
    record.container = {
        "class": job.location.class_name,
        "module": job.location.module,
        "file": str(job.location.file),
    }
    if job.direct is not None and (data := job.direct.top.get("data")) is not None:
        record.container["data"] = {"class": data.class_name, "module": data.module, "file": str(data.file)}
    code = asdict(launch.code or provenance.code(job.code_root))
    record.code = code | {"manifest_folder": job.manifest_folder}
    record.image = dict(launch.image) if launch.image else None
    record.packages = provenance.packages()
    record.python = platform.python_version()
    record.runtime_version = __version__
    record.hardware = provenance.hardware()
    record.timings = {}
    return record


class _Redacting(logging.Formatter):
    """Tracebacks and messages without credentials."""

    def format(self, record: logging.LogRecord) -> str:
        return redacted(super().format(record))


def _is_collected(log: Path) -> bool:
    """Whether what this process prints goes to `log` already."""
    return log.exists() and os.path.samestat(os.fstat(1), log.stat())


def _log_to_console() -> None:
    """Lets this program's own lines go to standard output, where training's other output goes, line by line."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_Redacting("%(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
