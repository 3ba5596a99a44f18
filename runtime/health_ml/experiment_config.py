"""`ExperimentConfig` under its name in hi-ml."""

from innereye_runtime.compat.azure_config import ExperimentConfig

__all__ = ["ExperimentConfig"]
