"""All classes of parameters, under their name in hi-ml."""

from innereye_runtime.api.params.dataset_params import DatasetParams
from innereye_runtime.api.params.optimizer_params import (
    LRSchedulerType,
    LRWarmUpType,
    OptimizerParams,
    OptimizerType,
)
from innereye_runtime.api.params.output_params import OutputParams
from innereye_runtime.api.params.trainer_params import TrainerParams
from innereye_runtime.api.params.workflow_params import MultiprocessingStartMethod, WorkflowParams
from innereye_runtime.compat.checkpoint_names import ARGS_TXT, CHECKPOINT_FOLDER

__all__ = [
    "ARGS_TXT",
    "CHECKPOINT_FOLDER",
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
