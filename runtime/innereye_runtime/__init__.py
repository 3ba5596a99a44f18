"""Trains a PyTorch Lightning model from one YAML manifest, with the same result on every compute target."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from innereye_runtime.containers.container import LightningContainer
    from innereye_runtime.containers.dataset_parameters import DatasetParams
    from innereye_runtime.containers.figures import add_curve, add_figure, add_overlay
    from innereye_runtime.containers.generic import GenericConfig
    from innereye_runtime.containers.inference import InnerEyeInference, ModelExecutionMode
    from innereye_runtime.containers.module import LightningModuleWithOptimizer
    from innereye_runtime.containers.optimizer_parameters import (
        LRSchedulerType,
        LRWarmUpType,
        OptimizerParams,
        OptimizerType,
    )
    from innereye_runtime.containers.output_parameters import OutputParams
    from innereye_runtime.containers.trainer_parameters import TrainerParams
    from innereye_runtime.containers.workflow_parameters import WorkflowParams

__version__ = "0.1.0"

_HOMES = {
    "DatasetParams": "dataset_parameters",
    "GenericConfig": "generic",
    "InnerEyeInference": "inference",
    "LRSchedulerType": "optimizer_parameters",
    "LRWarmUpType": "optimizer_parameters",
    "LightningContainer": "container",
    "LightningModuleWithOptimizer": "module",
    "ModelExecutionMode": "inference",
    "OptimizerParams": "optimizer_parameters",
    "OptimizerType": "optimizer_parameters",
    "OutputParams": "output_parameters",
    "TrainerParams": "trainer_parameters",
    "WorkflowParams": "workflow_parameters",
    "add_curve": "figures",
    "add_figure": "figures",
    "add_overlay": "figures",
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
