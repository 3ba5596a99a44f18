"""Containers, modules and inference, under their old name."""

from innereye_runtime.containers.container import LightningContainer
from innereye_runtime.containers.inference import InnerEyeInference
from innereye_runtime.containers.module import LightningModuleWithOptimizer

__all__ = ["InnerEyeInference", "LightningContainer", "LightningModuleWithOptimizer"]
