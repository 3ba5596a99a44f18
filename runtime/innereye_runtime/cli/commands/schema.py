"""`innereye-run schema`: the contract of a manifest, or of one container's arguments, as JSON Schema."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from innereye_runtime.cli.ui.parser import Parser
from innereye_runtime.cli.ui.terminal import YELLOW, eprint, paint
from innereye_runtime.errors import ExitCode, UsageError


class Arguments(argparse.Namespace):
    container: str | None
    model: str | None
    data: str | None
    namespace: list[str]


def parser() -> Parser:
    parser = Parser(
        "schema",
        usage="[--container CLASS [--namespace NAME ...] | --model CLASS | --data CLASS]",
        about="Prints the JSON Schema of manifests, or that of `container.args`, `model.args` or `data.args` for one\n"
        "class.",
        examples=[
            "innereye-run schema > manifest.schema.json",
            "innereye-run schema --container HelloContainer",
            "innereye-run schema --container my.configs.lungs:Lungs > lungs.schema.json",
            "innereye-run schema --model my_project.unet:UNet",
        ],
    )
    parser.add_argument("--container", metavar="CLASS", help="a class name, or package.module:ClassName")
    parser.add_argument("--model", metavar="CLASS", help="a LightningModule, as package.module:ClassName")
    parser.add_argument("--data", metavar="CLASS", help="a LightningDataModule, as package.module:ClassName")
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
    direct = arguments.model or arguments.data
    if sum(each is not None for each in (arguments.container, arguments.model, arguments.data)) > 1:
        raise UsageError("--container, --model and --data exclude each other", hint="name one class")
    if direct is not None:
        return _of_signature(direct)
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


def _of_signature(class_name: str) -> int:
    from innereye_runtime.introspection.arguments.json_schema import signature_schema
    from innereye_runtime.introspection.discovery import find, search_path
    from innereye_runtime.introspection.static.signatures import read_signature

    if ":" not in class_name:
        raise UsageError(f"'{class_name}' does not name a module", hint="write package.module:ClassName")
    places = search_path(None, Path.cwd())
    signature = read_signature(find(class_name, (), places), places)
    if signature.problem:
        raise UsageError(signature.problem, hint=signature.hint)
    if signature.open:
        eprint(f"{paint('note:', YELLOW, sys.stderr)} {signature.open}")
    print(json.dumps(signature_schema(signature), indent=2, ensure_ascii=False))
    return ExitCode.DONE
