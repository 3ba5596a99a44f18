"""What no schema can say: keys that contradict each other, and keys that a target can't do."""

from __future__ import annotations

from typing import Any

from innereye_runtime.manifest.diagnostics import Diagnostic
from innereye_runtime.manifest.document import Document


def check(document: Document, value: dict[str, Any]) -> list[Diagnostic]:
    found: list[Diagnostic] = []
    if "dataset" in value and "datasets" in value:
        span = document.span(("datasets",), key=True)
        message = "'dataset' and 'datasets' are both there"
        found.append(
            document.diagnostic("E201", span, message, hint="keep one: 'dataset' for one, 'datasets' for several")
        )
    return found
