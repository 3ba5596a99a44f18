"""Helpers for Azure, under their name in hi-ml."""

from innereye_runtime.api.members import is_running_in_azure_ml
from innereye_runtime.compat.matching import create_from_matching_params

__all__ = ["create_from_matching_params", "is_running_in_azure_ml"]
