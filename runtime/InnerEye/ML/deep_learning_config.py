"""All classes of parameters, under their old name."""

from innereye_runtime.containers.parameters.dataset import DatasetParams
from innereye_runtime.containers.parameters.optimizer import (
    LRSchedulerType,
    LRWarmUpType,
    OptimizerParams,
    OptimizerType,
)
from innereye_runtime.containers.parameters.output import OutputParams
from innereye_runtime.containers.parameters.trainer import TrainerParams
from innereye_runtime.containers.parameters.workflow import MultiprocessingStartMethod, WorkflowParams

__all__ = [
    "DatasetParams",
    "LRSchedulerType",
    "LRWarmUpType",
    "MultiprocessingStartMethod",
    "OptimizerParams",
    "OptimizerType",
    "OutputParams",
    "TrainerParams",
    "WorkflowParams",
]
