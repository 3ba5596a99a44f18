"""Which of the keys that name a class go together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from innereye_runtime.diagnostics.diagnostic import Diagnostic
from innereye_runtime.manifest.yaml.document import Document


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
