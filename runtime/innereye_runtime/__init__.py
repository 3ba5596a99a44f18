"""Trains a PyTorch Lightning model from one YAML manifest, with the same result on every compute target."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from innereye_runtime.containers.container import LightningContainer
    from innereye_runtime.containers.inference import InnerEyeInference, ModelExecutionMode
    from innereye_runtime.containers.module import LightningModuleWithOptimizer
    from innereye_runtime.containers.parameters.dataset import DatasetParams
    from innereye_runtime.containers.parameters.generic import GenericConfig
    from innereye_runtime.containers.parameters.optimizer import (
        LRSchedulerType,
        LRWarmUpType,
        OptimizerParams,
        OptimizerType,
    )
    from innereye_runtime.containers.parameters.output import OutputParams
    from innereye_runtime.containers.parameters.trainer import TrainerParams
    from innereye_runtime.containers.parameters.workflow import WorkflowParams
    from innereye_runtime.containers.pictures.figures import add_curve, add_figure, add_overlay

__version__ = "0.1.0"

_HOMES = {
    "DatasetParams": "parameters.dataset",
    "GenericConfig": "parameters.generic",
    "InnerEyeInference": "inference",
    "LRSchedulerType": "parameters.optimizer",
    "LRWarmUpType": "parameters.optimizer",
    "LightningContainer": "container",
    "LightningModuleWithOptimizer": "module",
    "ModelExecutionMode": "inference",
    "OptimizerParams": "parameters.optimizer",
    "OptimizerType": "parameters.optimizer",
    "OutputParams": "parameters.output",
    "TrainerParams": "parameters.trainer",
    "WorkflowParams": "parameters.workflow",
    "add_curve": "pictures.figures",
    "add_figure": "pictures.figures",
    "add_overlay": "pictures.figures",
}
"""The module of `containers` that each public name comes from. It is imported when the name is first used."""

__all__ = [
    "DatasetParams",
    "GenericConfig",
    "InnerEyeInference",
    "LRSchedulerType",
    "LRWarmUpType",
    "LightningContainer",
    "LightningModuleWithOptimizer",
    "ModelExecutionMode",
    "OptimizerParams",
    "OptimizerType",
    "OutputParams",
    "TrainerParams",
    "WorkflowParams",
    "__version__",
    "add_curve",
    "add_figure",
    "add_overlay",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'innereye_runtime' has no attribute '{name}'")
    value = getattr(import_module(f"innereye_runtime.containers.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
