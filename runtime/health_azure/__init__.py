"""hi-ml's helpers for Azure, under their own name. Everything here comes from `innereye_runtime`."""

from innereye_runtime.api.members import is_running_in_azure_ml
from innereye_runtime.compat.azure_job import AzureRunInfo, DatasetConfig, submit_to_azure_if_needed

__all__ = ["AzureRunInfo", "DatasetConfig", "is_running_in_azure_ml", "submit_to_azure_if_needed"]
