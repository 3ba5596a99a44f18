"""`innereye-run image build`, `info`, `ls` and `prune`: the runtime's images on the local Docker engine."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal

from innereye_runtime.cli.ui.parser import Parser, table
from innereye_runtime.errors import ExitCode


class Arguments(argparse.Namespace):
    action: Literal["build", "info", "ls", "prune"]
    reference: str | None
    variant: Literal["cpu", "gpu"] | None
    base: str | None
    source: Path | None
    all: bool
    json: bool


def parser() -> Parser:
    parser = Parser(
        "image",
        usage="build [MANIFEST] [--variant cpu|gpu] [--base REF] [--source DIR] | info [REF] | ls | prune [--all] "
        "[--json]",
        about="Builds innereye-runtime:cpu or :gpu, or the image with the packages of a manifest; shows what an image\n"
        "was made of; lists the runtime's images; removes those with packages that no run would take any more.\n"
        "The name innereye-runtime alone is the image that was built last.",
        examples=[
            "innereye-run image build --variant cpu",
            "innereye-run image build manifest.yaml",
            "innereye-run image build --base nvidia/cuda:13.0.1-base-ubuntu24.04",
            "innereye-run image info innereye-runtime:cpu",
            "innereye-run image prune",
        ],
    )
    actions = ("build", "info", "ls", "prune")
    parser.add_argument("action", choices=actions, metavar="|".join(actions), help="what to do")
    parser.add_argument(
        "reference",
        nargs="?",
        metavar="REF",
        help="info: the image; default: innereye-runtime. build: a manifest with packages; default: the runtime alone",
    )
    parser.add_argument("--variant", choices=("cpu", "gpu"), help="build: for which hardware; default: gpu")
    parser.add_argument("--base", metavar="REF", help="build: the base image; default: debian:bookworm-slim")
    parser.add_argument(
        "--source",
        type=Path,
        metavar="DIR",
        help="build: a checkout of innereye-runtime; default: this version",
    )
    parser.add_argument("--all", action="store_true", help="prune: every image with packages, also those of today")
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object; the build's output goes to standard error"
    )
    return parser


def run(argv: Sequence[str]) -> int:
    options = parser()
    arguments, _ = options.read(argv, Arguments())
    _check(options, arguments)
    match arguments.action:
        case "ls":
            return _list(as_json=arguments.json)
        case "prune":
            return _prune(every=arguments.all, as_json=arguments.json)
        case "build" if arguments.reference is not None:
            reference = _build_packages(Path(arguments.reference))
        case "build":
            reference = _build(arguments)
        case "info":
            reference = arguments.reference or "innereye-runtime"
    from innereye_runtime.targets.docker.image import info

    found = info(reference)
    print(json.dumps(found, indent=2) if arguments.json else _as_text(found))
    return ExitCode.DONE


def _check(options: Parser, arguments: Arguments) -> None:
    """Raises UsageError where an argument means nothing to the action."""
    of_runtime = [name for name in ("variant", "base", "source") if getattr(arguments, name) is not None]
    if of_runtime and arguments.action != "build":
        options.error(f"--{of_runtime[0]} is an option of image build")
    if of_runtime and arguments.reference is not None:
        options.error(
            f"--{of_runtime[0]} is for the runtime alone, and '{arguments.reference}' says what to build",
            hint="the image with the packages of a manifest is built on what compute.docker.image names",
        )
    if arguments.all and arguments.action != "prune":
        options.error("--all is an option of image prune")
    if arguments.reference is not None and arguments.action in ("ls", "prune"):
        options.error(f"unexpected argument '{arguments.reference}'", hint=f"image {arguments.action} takes none")


def _build(arguments: Arguments) -> str:
    from innereye_runtime.targets.docker.image import DEFAULT_BASE, build, plan_build
    from innereye_runtime.targets.source_tree import source_tree

    with nullcontext(arguments.source.absolute()) if arguments.source else source_tree() as root:
        request = plan_build(variant=arguments.variant or "gpu", base=arguments.base or DEFAULT_BASE, root=root)
        build(request, output=2)
    return request.tags[0]


def _build_packages(manifest: Path) -> str:
    """The tag of the image with the packages of `manifest`, which is built where it is not there."""
    from innereye_runtime.cli.ui.terminal import show_diagnostics
    from innereye_runtime.errors import UsageError
    from innereye_runtime.job.resolve import resolve_job
    from innereye_runtime.targets.docker.engine import connect
    from innereye_runtime.targets.docker.packages_build import plan_packages_build
    from innereye_runtime.targets.docker.packages_image import ensure_image
    from innereye_runtime.targets.docker.request import image_for

    job = resolve_job(manifest, cwd=Path.cwd(), target="docker")
    show_diagnostics(job.warnings)
    if job.requirements is None:
        raise UsageError(
            f"{manifest} has no packages, so its job runs in {image_for(job.manifest)} as it is",
            hint="add 'packages' to it, or build the runtime alone: innereye-run image build --variant cpu",
        )
    request = plan_packages_build(job.requirements, base=image_for(job.manifest))
    ensure_image(connect(), request, output=2)
    return request.tag


def _list(*, as_json: bool) -> int:
    from innereye_runtime.targets.docker.engine import connect
    from innereye_runtime.targets.docker.images import runtime_images

    found = runtime_images(connect())
    if as_json:
        print(json.dumps([image.describe() for image in found], indent=2))
        return ExitCode.DONE
    for image in found:
        on = f"  packages on {image.base}" if image.packages else ""
        note = "  outdated" if image.outdated else ""
        print(f"{', '.join(image.tags) or image.id[7:19]}  {image.size_bytes / 1e9:.2f} GB{on}{note}")
    return ExitCode.DONE


def _prune(*, every: bool, as_json: bool) -> int:
    from innereye_runtime.targets.docker.engine import connect
    from innereye_runtime.targets.docker.images import remove_images, runtime_images

    client = connect()
    chosen = [image for image in runtime_images(client) if image.packages and (every or image.outdated)]
    told = remove_images(client, chosen)
    if as_json:
        print(json.dumps([{**image.describe(), "kept_because": reason or None} for image, reason in told], indent=2))
        return ExitCode.DONE
    for image, reason in told:
        name = ", ".join(image.tags) or image.id[7:19]
        print(f"{name}  kept: {reason}" if reason else f"{name}  removed")
    if not told:
        print("no image with packages is out of date" if not every else "there is no image with packages")
    return ExitCode.DONE


def _as_text(found: dict[str, Any]) -> str:
    shown = {
        **found,
        "size_bytes": f"{found['size_bytes'] / 1e9:.2f} GB",
        "same_source_as_here": {True: "yes", False: "no: build it again to have this code", None: None}[
            found["same_source_as_here"]
        ],
    }
    names = {"size_bytes": "size"}
    rows = [(names.get(key, key.replace("_", " ")), str(value)) for key, value in shown.items() if value is not None]
    return table(rows).rstrip("\n")
