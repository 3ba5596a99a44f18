"""What bash runs on a node, and where that finds and writes things."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path

from innereye_runtime.job.entrypoint_args import EntrypointArgs
from innereye_runtime.job.given_weights import VARIABLES
from innereye_runtime.job.launch_context import VARIABLE
from innereye_runtime.job.resolve import Job
from innereye_runtime.targets.azureml.job_file import OUTPUT
from innereye_runtime.targets.azureml.sweep_job import SweepFields, trial_command, trial_overrides

LAUNCH = "innereye-runtime-launch.json"
"""In the job's code: what only this side knows of it."""
LOOSE_MANIFEST = "innereye-runtime-manifest.yaml"
"""Where a manifest that is not below the code root lies in the job's code."""
LOCAL_FOLDER = Path("innereye-runtime-run")
"""The run folder on the node's own disk, beside the code; its files are copied to the job's output."""


def manifest_place(job: Job) -> str:
    """The path of the manifest in the job's code."""
    path = job.manifest.path
    if path is None or not path.is_relative_to(job.code_root):
        folder = Path(job.manifest_folder)  # of a run that is resumed: what lay beside its manifest is imported
        return LOOSE_MANIFEST if folder.is_absolute() else (folder / LOOSE_MANIFEST).as_posix()
    return path.relative_to(job.code_root).as_posix()


def command_of(
    job: Job, place: str, inputs: Iterable[str], weights: Mapping[str, str], sweep: SweepFields | None
) -> str:
    """What bash runs in the working directory, which is a copy of the code. `inputs`: the names of the datasets;
    `weights`: the inputs that are the weights which parameters name, by the parameter.
    """
    request = EntrypointArgs(
        manifest=Path(place),
        overrides=job.overrides if sweep is None else trial_overrides(job, sweep),
        target="azureml",
        smoke=job.smoke,
        run_folder=LOCAL_FOLDER,
        stage_to=Path(f"${{{{outputs.{OUTPUT}}}}}"),
        code_root=Path("$PWD"),
        datasets=tuple(Path(f"${{{{inputs.{name}}}}}") for name in inputs),
    )
    given = (f'{VARIABLES[parameter]}="${{{{inputs.{name}}}}}"' for parameter, name in weights.items())
    command = " ".join([f'{VARIABLE}="$PWD/{LAUNCH}"', *given, "innereye-runtime", *map(_word, request.argv())])
    return command if sweep is None else trial_command(command, sweep, OUTPUT, LOCAL_FOLDER)


def _word(word: str) -> str:
    if re.fullmatch(r"--(stage-to|dataset)=\$\{\{[\w.]+\}\}", word):
        return word  # AzureML puts a path there, before bash sees it
    if word == "--code-root=$PWD":
        return '--code-root="$PWD"'
    # AzureML would also replace what looks like one of its placeholders in a user's own value.
    return shlex.quote(word).replace("${{", "$''{{")
