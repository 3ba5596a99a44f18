"""All classes of parameters, under their old name."""

from innereye_runtime.containers.dataset_parameters import DatasetParams
from innereye_runtime.containers.optimizer_parameters import (
    LRSchedulerType,
    LRWarmUpType,
    OptimizerParams,
    OptimizerType,
)
from innereye_runtime.containers.output_parameters import OutputParams
from innereye_runtime.containers.trainer_parameters import TrainerParams
from innereye_runtime.containers.workflow_parameters import MultiprocessingStartMethod, WorkflowParams

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
