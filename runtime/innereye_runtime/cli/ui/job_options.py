"""The job that a command line names: what `run`, `plan` and `explain` have in common."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from innereye_runtime.cli.ui.parser import Parser, add_manifest, add_target, name_options

if TYPE_CHECKING:
    from innereye_runtime.job.resolve import Job
    from innereye_runtime.manifest.model import TargetName


class JobArguments(argparse.Namespace):
    manifest: Path
    target: TargetName | None
    smoke: bool = False
    cold: bool = False
    json: bool


def job_parser(
    command: str, *, about: str, examples: Sequence[str], smoke: str = "", detach: str = "", json: str, more: str = ""
) -> Parser:
    """The parser of a command that takes a job; `smoke` and the like are the help of these flags, '' for no such
    flag. `more` is the usage of further ones.
    """
    given = {"[--smoke]": smoke, "[--detach]": detach, "[--json]": json, more: more}
    flags = " ".join(flag for flag, text in given.items() if text)
    parser = Parser(
        command,
        usage=f"MANIFEST [--target process|docker|slurm|azureml] {flags} [--key=value ...]",
        about=about,
        examples=examples,
        overrides=True,
    )
    add_manifest(parser)
    add_target(parser)
    if smoke:
        parser.add_argument("--smoke", action="store_true", help=smoke)
    if detach:
        parser.add_argument("--detach", action="store_true", help=detach)
    parser.add_argument("--json", action="store_true", help=json)
    return parser


def resolve_job_options(options: Parser, arguments: JobArguments, overrides: Sequence[str]) -> Job:
    """The job, with nothing imported or started.

    Raises:
        ManifestError: with every problem of the manifest, the container's arguments and the overrides.
        UsageError: the manifest isn't there.
    """
    from innereye_runtime.job.resolve import resolve_job

    with name_options(options):
        return resolve_job(
            arguments.manifest, cwd=Path.cwd(), overrides=overrides, target=arguments.target, smoke=arguments.smoke
        )
