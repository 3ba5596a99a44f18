"""Which of the keys that name a class go together."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from innereye_runtime.diagnostics.diagnostic import Diagnostic
from innereye_runtime.diagnostics.text import quote
from innereye_runtime.manifest.lookups import schema_at
from innereye_runtime.manifest.yaml.document import Document, Path

_LOGGER: Final = "{class: 'lightning.pytorch.loggers:WandbLogger', args: {project: lungs}}"


def check_classes(document: Document, value: Mapping[str, Any]) -> Iterator[Diagnostic]:
    """`container`, `model` and `data`, of which one or two say what is trained."""
    container = value.get("container")
    own = [name for name in ("class", "namespaces") if isinstance(container, Mapping) and name in container]
    if "model" in value and own:
        message = f"'container.{own[0]}' and 'model' are both there"
        hint = "keep 'container' for a LightningContainer, or 'model' and 'data' for the classes themselves"
        yield document.diagnostic("E220", document.span(("container", own[0]), key=True), message, hint=hint)
    elif "data" in value and own:
        message = "'data' is there, and the container gives the data"
        hint = "delete it, or write 'model: {class: package.module:ClassName}' in place of 'container'"
        yield document.diagnostic("E220", document.span(("data",), key=True), message, hint=hint)
    elif "data" in value and "model" not in value:
        message, hint = "'data' is there, and no 'model'", "add 'model: {class: package.module:ClassName}'"
        yield document.diagnostic("E220", document.span(("data",), key=True), message, hint=hint)


def check_loggers(document: Document, path: Path) -> Iterator[Diagnostic]:
    """The loggers beside TensorBoard and CSV: one object, or a list of them, each with its class and its arguments."""
    given, pattern = document.node(path).value, schema_at(("model", "class"))["pattern"]
    for at, each in [((*path, n), one) for n, one in enumerate(given)] if isinstance(given, list) else [(path, given)]:
        if not isinstance(each, dict) or "class" not in each:
            message, place = "a logger is named by its class; TensorBoard and CSV are always there", document.span(at)
        elif not isinstance(each["class"], str) or not re.search(pattern, each["class"]):
            message = f"{quote(str(each['class']))} is not a class as package.module:ClassName"
            place = document.span((*at, "class"))
        elif unknown := sorted({*map(str, each)} - {"class", "args"}):
            message, place = f"unknown key '{quote(unknown[0])}'", document.span((*at, unknown[0]), key=True)
        elif not isinstance(each.get("args", {}), dict):
            message, place = "'args' is not a mapping of arguments to values", document.span((*at, "args"))
        else:
            continue
        yield document.diagnostic("E210", place, message, hint=f"write {_LOGGER}, or a list of such objects")
