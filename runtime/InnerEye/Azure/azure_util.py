"""What a container asks of its surroundings, under its old name."""

from innereye_runtime.api.members import is_running_in_azure_ml

__all__ = ["is_running_in_azure_ml"]
