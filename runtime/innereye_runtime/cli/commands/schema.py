"""`innereye-run schema`: the contract of a manifest, or of one container's arguments, as JSON Schema."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from innereye_runtime.cli.ui.parser import Parser
from innereye_runtime.cli.ui.terminal import YELLOW, eprint, paint
from innereye_runtime.errors import ExitCode


class Arguments(argparse.Namespace):
    container: str | None
    namespace: list[str]


def parser() -> Parser:
    parser = Parser(
        "schema",
        usage="[--container CLASS [--namespace NAME ...]]",
        about="Prints the JSON Schema of manifests, or that of `container.args` for one class.",
        examples=[
            "innereye-run schema > manifest.schema.json",
            "innereye-run schema --container HelloContainer",
            "innereye-run schema --container my.configs.lungs:Lungs > lungs.schema.json",
        ],
    )
    parser.add_argument("--container", metavar="CLASS", help="a class name, or package.module:ClassName")
    parser.add_argument(
        "--namespace",
        metavar="NAME",
        action="append",
        default=[],
        help="a package to search for the class, before the examples;\ncan be given several times",
    )
    return parser


def run(argv: Sequence[str]) -> int:
    arguments, _ = parser().read(argv, Arguments())
    if arguments.container is None:
        from innereye_runtime.manifest.schema import schema_text

        sys.stdout.write(schema_text())
        return ExitCode.DONE
    from innereye_runtime.introspection.arguments.json_schema import json_schema
    from innereye_runtime.introspection.discovery import find, search_path
    from innereye_runtime.introspection.static.class_reader import read

    places = search_path(None, Path.cwd())
    source = read(find(arguments.container, arguments.namespace, places), places)
    for sentence in source.unresolved:
        eprint(f"{paint('note:', YELLOW, sys.stderr)} {sentence}")
    print(json.dumps(json_schema(source.parameters, source.name), indent=2, ensure_ascii=False))
    return ExitCode.DONE
