"""Containers and modules, under their name in hi-ml."""

from innereye_runtime.api.container import LightningContainer
from innereye_runtime.api.module import LightningModuleWithOptimizer

__all__ = ["LightningContainer", "LightningModuleWithOptimizer"]
