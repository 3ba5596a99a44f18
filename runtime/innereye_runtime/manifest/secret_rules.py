"""Secrets are named in a manifest and never written there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from innereye_runtime.diagnostics.diagnostic import Diagnostic
from innereye_runtime.diagnostics.text import quote
from innereye_runtime.manifest.yaml.document import Document, Path
from innereye_runtime.redaction import looks_like_secret


def check_secrets(document: Document, value: Mapping[str, Any]) -> Iterator[Diagnostic]:
    environment, secrets = _environment(value), value.get("secrets")
    for index, name in enumerate(secrets if isinstance(secrets, list) else ()):
        if isinstance(name, str) and name in environment:
            line = document.span(("environment", name), key=True).line
            message = f"'{quote(name)}' is a secret, and its value is in 'environment', line {line}"
            hint = "delete it from 'environment'; if that value is a real one, have it replaced"
            yield document.diagnostic("E208", document.span(("secrets", index)), message, hint=hint)


def check_literal_secrets(
    document: Document, value: Mapping[str, Any], datasets: Sequence[tuple[Path, Mapping[str, Any]]]
) -> Iterator[Diagnostic]:
    environment = _environment(value)
    for name, text in environment.items():
        if isinstance(text, str) and looks_like_secret(text, name):
            hint = f"list {quote(name)} in 'secrets' and export its value where the run is started"
            yield _without_text(document, ("environment", name), f"the value of '{quote(name)}'", hint)
    for path, dataset in datasets:
        identifier = dataset.get("id")
        if isinstance(identifier, str) and looks_like_secret(identifier):
            hint = "write the id without it; the credentials come from the environment or the job's identity"
            yield _without_text(document, (*path, "id"), "the dataset's id", hint)


def _without_text(document: Document, path: Path, what: str, hint: str) -> Diagnostic:
    message = f"{what} looks like a secret, and a manifest is shared and recorded"
    found = document.diagnostic("W006", document.span(path, key=True), message, hint=hint, severity="warning")
    return replace(found, lines=())


def _environment(value: Mapping[str, Any]) -> Mapping[str, Any]:
    part = value.get("environment")
    return part if isinstance(part, dict) else {}
