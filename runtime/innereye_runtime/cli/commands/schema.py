"""`innereye-run schema`: the contract of a manifest, or of one container's arguments, as JSON Schema."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from innereye_runtime.cli.ui.parser import Parser
from innereye_runtime.cli.ui.terminal import YELLOW, eprint, paint
from innereye_runtime.errors import ExitCode, UsageError


class Arguments(argparse.Namespace):
    container: str | None
    model: str | None
    data: str | None
    write: Path | None
    namespace: list[str]


def parser() -> Parser:
    parser = Parser(
        "schema",
        usage="[--container CLASS [--namespace NAME ...] | --model CLASS | --data CLASS] [--write FILE]",
        about="Prints the JSON Schema of manifests, or that of `container.args`, `model.args` or `data.args` for one\n"
        "class.",
        examples=[
            "innereye-run schema > manifest.schema.json",
            "innereye-run schema --write .innereye/manifest.schema.json",
            "innereye-run schema --container HelloContainer",
            "innereye-run schema --container my.configs.lungs:Lungs > lungs.schema.json",
            "innereye-run schema --model my_project.unet:UNet",
        ],
    )
    parser.add_argument("--container", metavar="CLASS", help="a class name, or package.module:ClassName")
    parser.add_argument("--model", metavar="CLASS", help="a LightningModule, as package.module:ClassName")
    parser.add_argument("--data", metavar="CLASS", help="a LightningDataModule, as package.module:ClassName")
    parser.add_argument(
        "--write", metavar="FILE", type=Path, help="write it to a file, for the first line of a manifest"
    )
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
        return _show(_of_signature(direct), arguments.write)
    if arguments.container is None:
        from innereye_runtime.manifest.schema import schema_text

        return _show(schema_text(), arguments.write)
    from innereye_runtime.introspection.arguments.json_schema import json_schema
    from innereye_runtime.introspection.code_root import search_path
    from innereye_runtime.introspection.discovery import find
    from innereye_runtime.introspection.static.class_reader import read

    places = search_path(None, Path.cwd())
    source = read(find(arguments.container, arguments.namespace, places), places)
    for sentence in source.unresolved:
        eprint(f"{paint('note:', YELLOW, sys.stderr)} {sentence}")
    return _show(_text(json_schema(source.parameters, source.name)), arguments.write)


def _show(text: str, file: Path | None) -> int:
    """Prints `text`, or writes it to `file`."""
    if file is None:
        sys.stdout.write(text)
        return ExitCode.DONE
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"'{file}' can't be written: {error.strerror}", hint="name a file in a folder of yours"
        ) from None
    return ExitCode.DONE


def _text(schema: Mapping[str, Any]) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _of_signature(class_name: str) -> str:
    from innereye_runtime.introspection.arguments.json_schema import signature_schema
    from innereye_runtime.introspection.code_root import search_path
    from innereye_runtime.introspection.discovery import find
    from innereye_runtime.introspection.static.signatures import read_signature

    if ":" not in class_name:
        raise UsageError(f"'{class_name}' does not name a module", hint="write package.module:ClassName")
    places = search_path(None, Path.cwd())
    signature = read_signature(find(class_name, (), places), places)
    if signature.problem:
        raise UsageError(signature.problem, hint=signature.hint)
    if signature.open:
        eprint(f"{paint('note:', YELLOW, sys.stderr)} {signature.open}")
    return _text(signature_schema(signature))
