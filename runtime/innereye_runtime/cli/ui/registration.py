"""`outputs.register` on the command line: what is said of it, where the target has no registry of its own."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from innereye_runtime.cli.ui.terminal import YELLOW, eprint, paint
from innereye_runtime.sweep.results import read_record


def register_model(folder: Path) -> None:
    """Registers the model of a complete run where its manifest asks for it. Azure's target does so by itself; a smoke
    run has no model that anybody wants.

    Raises:
        OutputError: it can't be registered.
    """
    record = read_record(folder)
    wanted: Mapping[str, Any] | None = record.get("manifest", {}).get("outputs", {}).get("register")
    if not wanted or record.get("target") == "azureml" or record.get("smoke"):
        return
    from innereye_runtime.manifest.model import Registration
    from innereye_runtime.targets.registration import VARIABLES, has_mlflow_registry, register_in_mlflow

    if not has_mlflow_registry():
        reason = f"neither {' nor '.join(VARIABLES)} names a registry"
        eprint(f"{paint('note:', YELLOW, sys.stderr)} model {wanted['name']} is not registered: {reason}")
        return
    eprint(f"model {register_in_mlflow(folder, Registration(**wanted))} is that of {folder.name}")
