"""Containers, modules and inference, under their old name."""

from innereye_runtime.api.container import LightningContainer
from innereye_runtime.api.inference import InnerEyeInference
from innereye_runtime.api.module import LightningModuleWithOptimizer

__all__ = ["InnerEyeInference", "LightningContainer", "LightningModuleWithOptimizer"]
