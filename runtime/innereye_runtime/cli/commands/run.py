"""`innereye-run MANIFEST`: the job on its target, and at the end the run folder, as the last line or as JSON."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from innereye_runtime.cli.ui.job_options import JobArguments, job_parser, resolve_job_options
from innereye_runtime.cli.ui.parser import Parser
from innereye_runtime.cli.ui.terminal import (
    YELLOW,
    eprint,
    log_to_stderr,
    paint,
    print_result,
    run_with_error_handling,
    show_diagnostics,
)
from innereye_runtime.errors import InnerEyeError, ManifestError

if TYPE_CHECKING:
    from innereye_runtime.job.resolve import Job


JSON_HELP = "print one JSON object: run, state, exit_code, metrics, weights_sha256; all else goes to standard error"


def parser() -> Parser:
    return job_parser(
        "run",
        about="Trains, evaluates and reports one manifest. 'run' is the default command.\n"
        "The last line of standard output is the run folder's absolute path.",
        examples=[
            "innereye-run manifests/hello.yaml --num_epochs=5 --l_rate=1e-2",
            "innereye-run --target docker manifests/hello.yaml",
            "innereye-run --json --smoke manifests/hello.yaml | jq .metrics.test",
        ],
        smoke="the whole path on two batches of each split, for one epoch",
        json=JSON_HELP,
    )


def run(argv: Sequence[str]) -> int:
    options = parser()
    arguments, overrides = options.read(argv, JobArguments())
    try:
        job = resolve_job_options(options, arguments, overrides)
        return start(job, as_json=arguments.json)
    except InnerEyeError as error:
        if arguments.json:
            print_result(json.dumps({**NO_RUN, "state": "failed", "exit_code": int(error.exit_code)}))
        raise


def run_old_command(argv: Sequence[str]) -> int:
    """The exit code of a run that the seed system's command line asks for; no manifest stands in a file."""
    from innereye_runtime.compat.innereye_cli import in_options, translate
    from innereye_runtime.job.resolve import resolve_job

    def run() -> int:
        command = translate(argv, has_gpu=_has_gpu, cluster=_cluster)
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
    from innereye_runtime.introspection.discovery import code_root
    from innereye_runtime.targets.azureml.settings import default_cluster

    return default_cluster(os.environ, code_root(None, Path.cwd()))


def _has_gpu() -> bool:
    """Whether there is a GPU here that PyTorch can use; PyTorch is only asked where the driver shows one."""
    from innereye_runtime.job.gpus import visible_gpus

    if not visible_gpus() or find_spec("torch") is None:
        return False
    import torch

    return bool(torch.cuda.is_available())


def start(job: Job, *, as_json: bool = False) -> int:
    """The exit code of `job`, when it has ended on its target and its run folder was named on standard output.

    Raises:
        InnerEyeError: it could not be started.
    """
    from innereye_runtime.cli.ui.study import start_many
    from innereye_runtime.sweep.trials import is_many
    from innereye_runtime.targets.registry import get_target

    show_diagnostics(job.warnings)
    if is_many(job.manifest):
        return start_many(job, as_json=as_json)
    if job.manifest.compute.target == "azureml" and job.methods:
        from innereye_runtime.job.class_hooks import with_hooks_of_class

        job = with_hooks_of_class(job)
    target = get_target(job.manifest.compute.target)
    with log_to_stderr():  # a dataset may have to be fetched first
        handle = target.submit(target.plan(job), stdout=2 if as_json else 1)
    exit_code = handle.wait()
    print_result(json.dumps(outcome(handle.run, exit_code)) if as_json else handle.run)
    return exit_code


NO_RUN: dict[str, Any] = {"run": None, "state": None, "exit_code": None, "metrics": {}, "weights_sha256": None}


def outcome(run: str, exit_code: int) -> dict[str, Any]:
    """What `--json` prints: the state and the metrics come from run.json, where the running side got as far as that."""
    from innereye_runtime.run.paths import RunPaths
    from innereye_runtime.run.record import RunRecord, state_of

    found = {**NO_RUN, "run": run, "state": state_of(exit_code), "exit_code": exit_code}
    paths = RunPaths(Path(run))
    if paths.run_json.is_file():
        record = RunRecord.read(paths)
        found["metrics"] = record.metrics
        found["weights_sha256"] = record.checkpoints.get("last", {}).get("weights_sha256")
    return found
