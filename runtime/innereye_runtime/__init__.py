"""Trains a PyTorch Lightning model from one YAML manifest, with the same result on every compute target."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from innereye_runtime.api.container import LightningContainer
    from innereye_runtime.api.inference import InnerEyeInference, ModelExecutionMode
    from innereye_runtime.api.module import LightningModuleWithOptimizer
    from innereye_runtime.api.params.dataset_params import DatasetParams
    from innereye_runtime.api.params.generic_config import GenericConfig
    from innereye_runtime.api.params.optimizer_params import (
        LRSchedulerType,
        LRWarmUpType,
        OptimizerParams,
        OptimizerType,
    )
    from innereye_runtime.api.params.output_params import OutputParams
    from innereye_runtime.api.params.trainer_params import TrainerParams
    from innereye_runtime.api.params.workflow_params import WorkflowParams
    from innereye_runtime.figures.figure_files import add_curve, add_figure, add_overlay
    from innereye_runtime.figures.tables import add_confusion_matrix, add_per_subject, add_table

__version__ = "0.1.0"

_HOMES = {
    "DatasetParams": "api.params.dataset_params",
    "GenericConfig": "api.params.generic_config",
    "InnerEyeInference": "api.inference",
    "LRSchedulerType": "api.params.optimizer_params",
    "LRWarmUpType": "api.params.optimizer_params",
    "LightningContainer": "api.container",
    "LightningModuleWithOptimizer": "api.module",
    "ModelExecutionMode": "api.inference",
    "OptimizerParams": "api.params.optimizer_params",
    "OptimizerType": "api.params.optimizer_params",
    "OutputParams": "api.params.output_params",
    "TrainerParams": "api.params.trainer_params",
    "WorkflowParams": "api.params.workflow_params",
    "add_confusion_matrix": "figures.tables",
    "add_curve": "figures.figure_files",
    "add_figure": "figures.figure_files",
    "add_overlay": "figures.figure_files",
    "add_per_subject": "figures.tables",
    "add_table": "figures.tables",
}
"""The module that each public name comes from. It is imported when the name is first used."""

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
    "add_confusion_matrix",
    "add_curve",
    "add_figure",
    "add_overlay",
    "add_per_subject",
    "add_table",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'innereye_runtime' has no attribute '{name}'")
    value = getattr(import_module(f"innereye_runtime.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
