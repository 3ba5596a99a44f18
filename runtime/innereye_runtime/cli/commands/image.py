"""`innereye-run image build` and `image info`: the runtime's images on the local Docker engine."""

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
    action: Literal["build", "info"]
    reference: str | None
    variant: Literal["cpu", "gpu"] | None
    base: str | None
    source: Path | None
    json: bool


def parser() -> Parser:
    parser = Parser(
        "image",
        usage="build [--variant cpu|gpu] [--base REF] [--source DIR] [--json] | info [REF] [--json]",
        about="Builds innereye-runtime:cpu or :gpu, or shows what an image was made of.\n"
        "The name innereye-runtime alone is the image that was built last.",
        examples=[
            "innereye-run image build --variant cpu",
            "innereye-run image build --base nvidia/cuda:13.0.1-base-ubuntu24.04",
            "innereye-run image info innereye-runtime:cpu",
        ],
    )
    parser.add_argument("action", choices=("build", "info"), metavar="build|info", help="what to do")
    parser.add_argument("reference", nargs="?", metavar="REF", help="info: the image; default: innereye-runtime")
    parser.add_argument("--variant", choices=("cpu", "gpu"), help="build: for which hardware; default: gpu")
    parser.add_argument("--base", metavar="REF", help="build: the base image; default: debian:bookworm-slim")
    parser.add_argument(
        "--source",
        type=Path,
        metavar="DIR",
        help="build: a checkout of innereye-runtime; default: this version",
    )
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object; the build's output goes to standard error"
    )
    return parser


def run(argv: Sequence[str]) -> int:
    from innereye_runtime.targets.docker.image import DEFAULT_BASE, build, info, plan_build
    from innereye_runtime.targets.source_tree import source_tree

    options = parser()
    arguments, _ = options.read(argv, Arguments())
    if arguments.action == "build":
        if arguments.reference is not None:
            options.error(
                f"unexpected argument '{arguments.reference}'", hint="image build takes its choices as options"
            )
        with nullcontext(arguments.source.absolute()) if arguments.source else source_tree() as root:
            request = plan_build(variant=arguments.variant or "gpu", base=arguments.base or DEFAULT_BASE, root=root)
            build(request, output=2)
        reference = request.tags[0]
    else:
        for name in ("variant", "base", "source"):
            if getattr(arguments, name) is not None:
                options.error(f"--{name} is an option of image build")
        reference = arguments.reference or "innereye-runtime"
    found = info(reference)
    print(json.dumps(found, indent=2) if arguments.json else _as_text(found))
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
