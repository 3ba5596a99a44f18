"""The loggers that a manifest names under `trainer.arguments`, compared with the signatures of their classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from innereye_runtime.diagnostics.diagnostic import Diagnostic
from innereye_runtime.introspection.arguments.checker import ArgumentChecker
from innereye_runtime.introspection.arguments.locations import ManifestText
from innereye_runtime.manifest.loading import Loaded
from innereye_runtime.manifest.yaml.document import Document


def check_logger_arguments(loaded: Loaded, search_path: Sequence[Path]) -> list[Diagnostic]:
    """Every problem of the classes and their arguments. Nothing is imported, so what a class hands on to its tracker by
    `**kwargs` is not checked: Weights & Biases takes dozens of arguments in this way. `explain` shows none of them.
    """
    if not (loaded.document is not None and _names_loggers(loaded.document)):
        return []
    from innereye_runtime.introspection.arguments.direct import read_loggers

    found, text = read_loggers(loaded.document, search_path), ManifestText(loaded)
    checking = ArgumentChecker(found.parameters, False, {})
    for name, given in found.given.items():
        checking.set_value(name, given.value, text.at(given.place, name), "manifest", None)
    checking.check_references(None)  # how many datasets there are, a container may say itself
    of_values = [replace(each, hint="") if "explain" in each.hint else each for each in checking.diagnostics]
    return [*(each for each in found.diagnostics if each.code != "N300"), *of_values]


def _names_loggers(document: Document) -> bool:
    try:
        return bool(document.node(("trainer", "arguments", "logger")))
    except KeyError:
        return False
