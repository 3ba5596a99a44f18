"""`innereye-run plan MANIFEST`: the request that a target would get. Nothing is started, asked or written."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from innereye_runtime.cli.ui.job_options import JobArguments, job_parser, resolve_job_options
from innereye_runtime.cli.ui.parser import Parser, table
from innereye_runtime.cli.ui.terminal import show_diagnostics
from innereye_runtime.errors import ExitCode


def parser() -> Parser:
    return job_parser(
        "plan",
        about="Shows what would be started. No network, no engine, no file written.",
        examples=[
            "innereye-run plan manifests/hello.yaml",
            "innereye-run plan --target docker --json manifests/hello.yaml",
        ],
        smoke="the plan of a smoke run",
        json="the plan as one JSON object",
    )


def run(argv: Sequence[str]) -> int:
    options = parser()
    arguments, overrides = options.read(argv, JobArguments())
    job = resolve_job_options(options, arguments, overrides)
    from innereye_runtime.sweep.trials import is_many
    from innereye_runtime.targets.base import SweepingTarget, WrittenPlan
    from innereye_runtime.targets.registry import get_target

    show_diagnostics(job.warnings)
    target = get_target(job.manifest.compute.target)
    if is_many(job.manifest) and not isinstance(target, SweepingTarget):
        from innereye_runtime.cli.ui.study import plan_of_many, trial_table

        many = plan_of_many(job, plan := target.plan(job))
        shown = {key: value for key, value in many.items() if key not in ("trials", "job")}
        text = json.dumps(many, indent=2) if arguments.json else f"{as_text(shown)}\n\n{trial_table(many)}"
        print(text)
        if isinstance(plan, WrittenPlan) and not arguments.json:
            print(f"\n{plan.job_file().rstrip()}")
        return ExitCode.DONE
    plan = target.plan(job)
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
