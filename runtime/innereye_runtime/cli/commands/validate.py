"""`innereye-run validate MANIFEST...`: every problem at its line and column, before anything is started."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from innereye_runtime.cli.ui.job_summary import add_cases
from innereye_runtime.cli.ui.junit import Case, as_junit, case_of_diagnostics
from innereye_runtime.cli.ui.parser import Parser, add_manifest, name_options
from innereye_runtime.cli.ui.terminal import show_diagnostics, show_error
from innereye_runtime.errors import ExitCode, ManifestError, UsageError

if TYPE_CHECKING:
    from innereye_runtime.diagnostics.diagnostic import Diagnostic


class Arguments(argparse.Namespace):
    manifests: list[Path]
    format: Literal["text", "json", "github", "sarif", "junit"]


def parser() -> Parser:
    parser = Parser(
        "validate",
        usage="[--format text|json|github|sarif|junit] MANIFEST|FOLDER... [--key=value ...]",
        about="Checks manifests, the arguments of their containers and overrides; imports and starts nothing.\n"
        "Of a folder: its manifests, and in one line each container class.\n"
        "Exit code 2: at least one is wrong. Text goes to standard error, every other format to standard output.",
        examples=[
            "innereye-run validate manifests/hello.yaml --num_layers=7",
            "innereye-run validate --format sarif manifests/*.yaml > manifests.sarif",
            "innereye-run validate my_project",
        ],
        overrides=True,
    )
    add_manifest(parser, many=True)
    parser.add_argument(
        "--format",
        choices=("text", "json", "github", "sarif", "junit"),
        default="text",
        help="as a compiler shows it (the default), for a program, for annotations\n"
        "on GitHub, for a code scanner, as test results",
    )
    return parser


def run(argv: Sequence[str]) -> int:
    options = parser()
    arguments, overrides = options.read(argv, Arguments())
    code = ExitCode.DONE
    found: list[Diagnostic] = []
    cases: list[Case] = []
    manifests: list[Path] = []
    for path in arguments.manifests:
        manifests += _in_folder(path, overrides) if path.is_dir() else [path]
    for manifest in manifests:
        try:
            with name_options(options):
                diagnostics: Sequence[Diagnostic] = check(manifest, overrides)
        except ManifestError as error:
            diagnostics, code = error.diagnostics, error.exit_code
        except UsageError as error:  # there is no such file; the others are checked all the same
            show_error(error)
            code = error.exit_code
            cases.append(Case(name=str(manifest), suite="validate", failure=str(error), details=error.hint))
            continue
        found += diagnostics
        cases.append(case_of_diagnostics(manifest, diagnostics, suite="validate"))
        if arguments.format == "text":
            show_diagnostics(diagnostics)
            if not any(diagnostic.severity == "error" for diagnostic in diagnostics):
                print(f"{manifest}: valid", flush=True)
    for folder in filter(Path.is_dir, arguments.manifests):
        from innereye_runtime.cli.ui.folders import containers_in

        for checked in containers_in(folder.resolve()):
            failed = any(each.severity == "error" for each in checked.problems)
            code = ExitCode.USAGE if failed else code
            found += checked.problems
            cases.append(case_of_diagnostics(Path(checked.line), checked.problems, suite="validate"))
            if arguments.format == "text":
                print(checked.line, file=sys.stderr if failed else sys.stdout, flush=True)
    add_cases(cases, os.environ)
    if arguments.format == "junit":
        sys.stdout.write(as_junit(cases))
    elif arguments.format != "text":
        from innereye_runtime.diagnostics.rendering import render

        sys.stdout.write(
            render(found, arguments.format).rstrip("\n") + "\n" if found or arguments.format != "github" else ""
        )
    return code


def _in_folder(folder: Path, overrides: Sequence[str]) -> list[Path]:
    """The manifests of a folder.

    Raises:
        UsageError: overrides are given, which can't be meant for all containers of a folder.
    """
    from innereye_runtime.cli.ui.folders import manifests_in

    if overrides:
        raise UsageError(
            f"{overrides[0]} can't be for every container in {folder}", hint="name one manifest, or leave it out"
        )
    return manifests_in(folder)


def check(manifest: Path, overrides: Sequence[str]) -> Sequence[Diagnostic]:
    """Warnings and notes on a manifest that is right.

    Raises:
        ManifestError: it is not.
        UsageError: it is not there.
    """
    from innereye_runtime.job.resolve import resolve_job

    return resolve_job(manifest, cwd=Path.cwd(), overrides=overrides).warnings
