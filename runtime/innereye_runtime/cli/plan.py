"""`innereye-run plan MANIFEST`: the request that a target would get. Nothing is started, asked or written."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from innereye_runtime.cli.parser import Parser, add_manifest, add_target, name_options, table
from innereye_runtime.cli.terminal import show_diagnostics
from innereye_runtime.errors import ExitCode

if TYPE_CHECKING:
    from innereye_runtime.manifest.model import TargetName


class Arguments(argparse.Namespace):
    manifest: Path
    target: TargetName | None
    smoke: bool
    json: bool


def parser() -> Parser:
    parser = Parser(
        "plan",
        usage="MANIFEST [--target process|docker|azureml] [--smoke] [--json] [--key=value ...]",
        about="Shows what would be started. No network, no engine, no file written.",
        examples=[
            "innereye-run plan manifests/hello.yaml",
            "innereye-run plan --target docker --json manifests/hello.yaml",
        ],
        overrides=True,
    )
    add_manifest(parser)
    add_target(parser)
    parser.add_argument("--smoke", action="store_true", help="the plan of a smoke run")
    parser.add_argument("--json", action="store_true", help="the plan as one JSON object")
    return parser


def run(argv: Sequence[str]) -> int:
    options = parser()
    arguments, overrides = options.read(argv, Arguments())
    from innereye_runtime.job.resolve import resolve
    from innereye_runtime.targets.base import WrittenPlan, get_target

    with name_options(options):
        job = resolve(
            arguments.manifest, cwd=Path.cwd(), overrides=overrides, target=arguments.target, smoke=arguments.smoke
        )
    show_diagnostics(job.remarks)
    plan = get_target(job.manifest.compute.target).plan(job)
    if arguments.json:
        print(json.dumps(plan.describe(), indent=2, ensure_ascii=False))
    else:
        print(plan.job_file().rstrip("\n") if isinstance(plan, WrittenPlan) else as_text(plan.describe()))
    return ExitCode.DONE


def as_text(plan: Mapping[str, Any]) -> str:
    """The plan, a line for each thing that it asks for; what it does not ask for is left out."""
    rows = [(key, _cell(key, value)) for key, value in plan.items() if value not in (None, [], {}, "")]
    return table(rows).rstrip("\n")


def _cell(key: str, value: Any) -> str:
    match value:
        case list() if key in ("command", "entrypoint"):
            return shlex.join(map(str, value))
        case list():
            return "\n".join(_cell("", item) for item in value)
        case dict():
            return "\n".join(f"{name}={_cell(name, item)}" for name, item in value.items())
        case bool() | None:
            return json.dumps(value)
        case _:
            return str(value)
