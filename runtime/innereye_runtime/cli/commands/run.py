"""`innereye-run MANIFEST`: the job on its target, and at the end the run folder, as the last line or as JSON."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from innereye_runtime.cli.handover import HandoverError
from innereye_runtime.cli.ui.ci_report import CIReport, reported
from innereye_runtime.cli.ui.job_options import JobArguments, job_parser, resolve_job_options
from innereye_runtime.cli.ui.outcome import NO_RUN, outcome
from innereye_runtime.cli.ui.parser import Parser
from innereye_runtime.cli.ui.registration import register_model
from innereye_runtime.cli.ui.terminal import (
    CYAN,
    YELLOW,
    eprint,
    log_to_stderr,
    paint,
    print_result,
    run_with_error_handling,
    show_diagnostics,
)
from innereye_runtime.errors import ExitCode, InnerEyeError, ManifestError, UsageError

if TYPE_CHECKING:
    from innereye_runtime.job.resolve import Job
    from innereye_runtime.targets.base import Handle


JSON_HELP = "print one JSON object: run, state, exit_code, metrics, weights_sha256; all else goes to standard error"


COLD_HELP = "of a sweep: each trial imports PyTorch by itself, and none starts from a process that has"


class RunArguments(JobArguments):
    debug: bool = False
    junit: Path | None = None
    cold: bool = False
    detach: bool = False


def parser() -> Parser:
    options = job_parser(
        "run",
        about="Trains, evaluates and reports one manifest. 'run' is the default command.\n"
        "The last line of standard output is the run folder's absolute path.",
        examples=[
            "innereye-run manifests/hello.yaml --num_epochs=5 --l_rate=1e-2",
            "innereye-run --target docker manifests/hello.yaml",
            "innereye-run --json --smoke manifests/hello.yaml | jq .metrics.test",
        ],
        smoke="the whole path on two batches of each split, for one epoch",
        detach="end as soon as the job is queued; the last line is then its reference, for logs, wait and download",
        json=JSON_HELP,
        more="[--debug] [--junit FILE]",
    )
    options.add_argument(
        "--debug",
        action="store_true",
        help="keep the terminal for breakpoint(): one process, no loader workers, no\ntime limits; "
        "at the first exception, ask whether to debug it",
    )
    options.add_argument("--junit", type=Path, metavar="FILE", help="write the outcome as JUnit's XML, for a CI")
    options.add_argument("--cold", action="store_true", help=COLD_HELP)
    return options


def run(argv: Sequence[str]) -> int:
    options = parser()
    arguments, overrides = options.read(argv, RunArguments())
    report = CIReport(
        manifest=str(arguments.manifest),
        smoke=arguments.smoke,
        junit=str(arguments.junit) if arguments.junit else None,
        started=time.monotonic(),
    )

    def begin(ended: list[dict[str, Any]]) -> int:
        job = resolve_job_options(options, arguments, overrides)
        if arguments.debug:
            job = debugged(job)
        how = {"cold": arguments.cold, "detach": arguments.detach, "hands_over": True}
        return start(job, as_json=arguments.json, ended=ended, **how)

    return reported(begin, report, as_json=arguments.json)


def debugged(job: Job) -> Job:
    """The job with its terminal, in one process, without time limits.

    Raises:
        UsageError: its target is not a process of this machine, or it is one of several.
    """
    compute = job.manifest.compute
    if compute.target != "process" or compute.nodes > 1 or compute.gpus not in ("none", 0, 1):
        raise UsageError(
            "--debug is for one process on this machine",
            hint="add --target process, and --set compute.gpus=none or --set compute.gpus=1",
        )
    return replace(job, debug=True)


def run_old_command(argv: Sequence[str], *, successor: bool = False) -> int:
    """The exit code of a run that the seed system's command line asks for, or its `successor`'s; the manifest is not a
    file."""
    from innereye_runtime.compat.innereye_cli import in_options, translate
    from innereye_runtime.job.resolve import resolve_job

    def run() -> int:
        command = translate(argv, has_gpu=_has_gpu, cluster=_cluster, successor=successor)
        for note in command.notes:
            eprint(f"{paint('note:', YELLOW, sys.stderr)} {note}")
        try:
            job = resolve_job(command.text, cwd=Path.cwd(), overrides=command.overrides, target=command.target)
            return start(replace(job, warnings=tuple(command.told(job.warnings))))
        except ManifestError as error:
            raise ManifestError(command.told(error.diagnostics)) from error
        except InnerEyeError as error:
            raise type(error)(in_options(str(error)), hint=in_options(error.hint)) from error

    return run_with_error_handling(run)


def _cluster() -> str:
    from innereye_runtime.introspection.code_root import code_root
    from innereye_runtime.targets.azureml.settings import default_cluster

    return default_cluster(os.environ, code_root(None, Path.cwd()))


def _has_gpu() -> bool:
    """Whether there is a GPU here that PyTorch can use; PyTorch is only asked where the driver shows one."""
    from innereye_runtime.job.gpus import visible_gpus

    if not visible_gpus() or find_spec("torch") is None:
        return False
    import torch

    return bool(torch.cuda.is_available())


def start(
    job: Job,
    *,
    as_json: bool = False,
    ended: list[dict[str, Any]] | None = None,
    cold: bool = False,
    detach: bool = False,
    hands_over: bool = False,
) -> int:
    """The exit code of `job`, when it has ended on its target and its run folder was named on standard output; 0 for
    one that is detached, when it is queued and its reference was printed there. What it came to is added to `ended`.

    Raises:
        HandoverError: it was submitted, and another process is to follow it; only where this one `hands_over`.
        InnerEyeError: it could not be started.
        UsageError: it was to be detached, and jobs of its target end with the command.
    """
    from innereye_runtime.cli.ui.remote_copy import wait_with_copy
    from innereye_runtime.cli.ui.study import start_many
    from innereye_runtime.sweep.trials import is_many
    from innereye_runtime.targets.base import CopyingTarget, DetachingTarget, FollowableHandle, SweepingTarget
    from innereye_runtime.targets.registry import get_target

    show_diagnostics(job.warnings)
    target = get_target(job.manifest.compute.target)
    many = is_many(job.manifest) and not isinstance(target, SweepingTarget)
    if (detach or job.manifest.compute.detach) and (many or not isinstance(target, DetachingTarget)):
        what = "a sweep" if many else "a job"
        reason = f"{what} on target {job.manifest.compute.target} can't be detached: it ends with this command"
        if detach:
            raise UsageError(reason, hint="leave --detach out, or use --target azureml")
        eprint(f"{paint('note:', YELLOW, sys.stderr)} compute.detach has no effect: {reason}")
    if many:
        return start_many(job, as_json=as_json, ended=ended, cold=cold)
    if job.manifest.compute.target == "azureml" and job.methods:
        from innereye_runtime.job.class_hooks import with_hooks_of_class

        job = with_hooks_of_class(job)
    if (detach or job.manifest.compute.detach) and isinstance(target, DetachingTarget):
        reference = target.detach(target.plan(job))
        print_result(json.dumps({**NO_RUN, "run": reference, "state": "queued"}) if as_json else reference)
        return 0
    if job.manifest.outputs.remote:
        from innereye_runtime.launch.mirroring import check_copy

        check_copy(job.manifest, job.run_folder)
    with log_to_stderr():  # a dataset may have to be fetched first
        handle = target.submit(target.plan(job), stdout=2 if as_json else 1)
    if hands_over and isinstance(handle, FollowableHandle):
        raise HandoverError(job.manifest.compute.target, handle, as_json=as_json)
    wait = handle.wait
    if not isinstance(target, CopyingTarget):
        wait = partial(wait_with_copy, job.manifest, handle.run, handle.wait)
    return conclude(handle, wait, as_json=as_json, ended=ended)


def conclude(
    handle: Handle, wait: Callable[[], int], *, as_json: bool, ended: list[dict[str, Any]] | None = None
) -> int:
    """The exit code of a submitted job, when `wait` has returned it and its run folder was named on standard output."""
    from innereye_runtime.run.paths import RunPaths, resume_command

    exit_code = wait()
    run = handle.run  # of a job elsewhere, its address until its run folder is here
    if exit_code == 0:
        register_model(Path(run))
    if ended is not None:
        ended.append(outcome(run, exit_code))
    paths = RunPaths(Path(run))
    if exit_code in (ExitCode.INTERRUPTED, ExitCode.STOPPED) and paths.run_json.is_file():
        eprint(f"{paint('hint:', CYAN, sys.stderr)} {resume_command(paths, Path.cwd())}")
    print_result(json.dumps(outcome(run, exit_code)) if as_json else run)
    return exit_code
