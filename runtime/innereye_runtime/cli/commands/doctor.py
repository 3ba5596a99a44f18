"""`innereye-run doctor [MANIFEST]`: what would stand in the way of a job, each with its remedy."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from innereye_runtime.cli.ui.parser import Parser, add_target
from innereye_runtime.cli.ui.terminal import eprint
from innereye_runtime.errors import ExitCode, ManifestError

if TYPE_CHECKING:
    from innereye_runtime.job.resolve import Job
    from innereye_runtime.manifest.model import Manifest, TargetName
    from innereye_runtime.targets.preflight.result import CheckResult


class Arguments(argparse.Namespace):
    manifest: Path | None
    target: TargetName | None
    json: bool


def parser() -> Parser:
    parser = Parser(
        "doctor",
        usage="[MANIFEST] [--target process|docker|slurm|azureml] [--json]",
        about="Looks at what a job needs: engine, image, GPU, disk, shared memory, dataset, credentials.\n"
        "Every launcher does so by itself before it starts a job.",
        examples=["innereye-run doctor", "innereye-run doctor --target docker manifests/hello.yaml"],
    )
    parser.add_argument(
        "manifest", nargs="?", type=Path, metavar="MANIFEST", help="a manifest; default: a small CPU job"
    )
    add_target(parser, default="compute.target of the manifest, docker without one")
    parser.add_argument(
        "--json", action="store_true", help="print one JSON list: check, status, message, remedy, exit_code"
    )
    return parser


def run(argv: Sequence[str]) -> int:
    from innereye_runtime.targets.registry import get_target

    arguments, _ = parser().read(argv, Arguments())
    manifest = _manifest(arguments)
    target = get_target(arguments.target or (manifest.compute.target if manifest else "docker"))
    job = _job(arguments, manifest)
    named = manifest.outputs.local if manifest else None
    outputs = job.outputs_folder if job else named or Path.cwd() / "outputs"
    found = list(target.preflight(manifest, outputs, job))
    if arguments.json:
        print(json.dumps([finding.describe(name) for name, finding in found], indent=2))
    else:
        for name, finding in found:
            _show(name, finding)
    failed = [finding.error for _, finding in found if finding.error is not None]
    return failed[0].exit_code if failed else ExitCode.DONE


def _manifest(arguments: Arguments) -> Manifest | None:
    from innereye_runtime.cli.ui.terminal import show_diagnostics
    from innereye_runtime.manifest.loading import load

    if arguments.manifest is None:
        return None
    loaded = load(arguments.manifest, target=arguments.target)
    if loaded.manifest is None:
        raise ManifestError(loaded.diagnostics)
    show_diagnostics(loaded.diagnostics)
    return loaded.manifest


def _job(arguments: Arguments, manifest: Manifest | None) -> Job | None:
    """The job, so that datasets which its class names are checked too; None where it is not one yet."""
    from innereye_runtime.job.resolve import resolve_job

    if arguments.manifest is None or manifest is None:
        return None
    try:
        return resolve_job(arguments.manifest, cwd=Path.cwd(), target=arguments.target)
    except ManifestError as error:
        eprint(f"datasets that the class names are not checked: {error} (innereye-run validate shows them)")
        return None


def _show(name: str, finding: CheckResult) -> None:
    import sys

    from innereye_runtime.cli.ui.terminal import CYAN, DIM, RED, YELLOW, paint

    style = {"ok": CYAN, "warning": YELLOW, "failed": RED, "skipped": DIM}[finding.status]
    print(f"{paint(f'{finding.status:<7}', style, sys.stdout)}  {name}: {finding.message}")
    if finding.remedy:
        print(f"         {finding.remedy}")
