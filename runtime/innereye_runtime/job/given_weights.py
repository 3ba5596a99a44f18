"""Weights that the launching side provides, where a parameter names them by what only it can find: an input of the job.
Variables of the attempt's environment say where they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

VARIABLES = {
    "src_checkpoint": "INNEREYE_RUNTIME_SRC_CHECKPOINT",
    "model_id": "INNEREYE_RUNTIME_MODEL_ID",
}
"""By the parameter."""


def given_weights(environment: Mapping[str, str]) -> Mapping[str, Path]:
    """The file or folder that was provided, by its parameter."""
    return {name: Path(environment[variable]) for name, variable in VARIABLES.items() if environment.get(variable)}
