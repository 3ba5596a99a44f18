"""`innereye_runtime.compat.azure_config` under its old name."""

from innereye_runtime.compat.azure_config import AzureConfig

__all__ = ["AzureConfig"]
