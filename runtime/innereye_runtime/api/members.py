"""What a container knows of its run besides its parameters, in the words of the toolbox and of its successor."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from innereye_runtime.compat.checkpoint_names import (
    BEST_CHECKPOINT_FILE_NAME_WITH_SUFFIX,
    LAST_CHECKPOINT_FILE_NAME_WITH_SUFFIX,
)

if TYPE_CHECKING:
    from pytorch_lightning import LightningModule

AZUREML_RUN_VARIABLE = "AZUREML_RUN_ID"


def is_running_in_azure_ml(*_: Any, **__: Any) -> bool:
    """Whether this process is part of a job in Azure Machine Learning. Arguments (a run, in the successor) are taken,
    and not looked at.
    """
    return bool(os.environ.get(AZUREML_RUN_VARIABLE))


@dataclass(kw_only=True)
class RunRecovery:
    """The checkpoints of a run, for a container that starts from them."""

    checkpoints_roots: list[Path] = field(default_factory=list)

    def get_recovery_checkpoint_paths(self) -> list[Path]:
        """last.ckpt of each folder of checkpoints."""
        return [root / LAST_CHECKPOINT_FILE_NAME_WITH_SUFFIX for root in self.checkpoints_roots]

    def get_best_checkpoint_paths(self) -> list[Path]:
        """best.ckpt of each folder of checkpoints."""
        return [root / BEST_CHECKPOINT_FILE_NAME_WITH_SUFFIX for root in self.checkpoints_roots]


class RunMembers:
    """Mixed into `LightningContainer`. The runtime sets nodes and GPUs before `setup` is called."""

    pretraining_run_checkpoints: RunRecovery | None = None
    """Those that `local_weights_path`, `weights_url` or `src_checkpoint` name are loaded by the runtime; None."""
    _num_nodes: int = 1
    _gpus_per_node: int | None = None
    _use_gpu: bool | None = None

    @property
    def num_nodes(self) -> int:
        """The number of nodes of the job."""
        return self._num_nodes

    @num_nodes.setter
    def num_nodes(self, count: int) -> None:
        self._num_nodes = count

    @property
    def use_gpu(self) -> bool:
        """Whether the run trains on GPUs. Before the runtime has said so: whether PyTorch sees one."""
        if self._use_gpu is None:
            import torch

            return torch.cuda.is_available()
        return self._use_gpu

    @use_gpu.setter
    def use_gpu(self, use: bool) -> None:
        self._use_gpu = use

    def num_gpus_per_node(self) -> int:
        """The number of GPUs that the run uses on each node: those that are there, at most `max_num_gpus`."""
        count = self._gpus_per_node
        if count is None:
            import torch

            count = torch.cuda.device_count() if self.use_gpu else 0
        most: int = getattr(self, "max_num_gpus", -1)
        return min(count, most) if most >= 0 else count

    @property
    def is_offline_run(self) -> bool:
        """True unless the run is a job in Azure Machine Learning."""
        return not is_running_in_azure_ml()

    @property
    def is_running_in_aml(self) -> bool:
        """True in a job in Azure Machine Learning."""
        return is_running_in_azure_ml()

    def set_output_to(self, output_to: Path | str) -> None:
        """Sets the folder that `outputs_folder` and its siblings are of."""
        self.output_to = str(output_to)  # a parameter of the container

    def get_path_to_checkpoint(self) -> Path:
        """The path of the checkpoint that a restart resumes from, last.ckpt."""
        return self._checkpoints / LAST_CHECKPOINT_FILE_NAME_WITH_SUFFIX

    def get_path_to_best_checkpoint(self) -> Path:
        """The place of best.ckpt."""
        return self._checkpoints / BEST_CHECKPOINT_FILE_NAME_WITH_SUFFIX

    @property
    def _checkpoints(self) -> Path:
        folder: Path = self.checkpoint_folder  # type: ignore[attr-defined]
        return folder

    def load_model_checkpoint(self, checkpoint_path: Path | str) -> None:
        """Gives the weights in a checkpoint to `model`, which has been created.

        Raises:
            ValueError: there is no model yet.
            RuntimeError: the weights are those of another model.
        """
        import torch

        content = torch.load(checkpoint_path, map_location="cpu", weights_only=False)
        model: LightningModule = self.model  # type: ignore[attr-defined]
        model.load_state_dict(content["state_dict"])

    def has_custom_test_step(self) -> bool:
        """Whether the model overrides `test_step`."""
        from pytorch_lightning import LightningModule

        model: LightningModule = self.model  # type: ignore[attr-defined]
        return type(model).test_step is not LightningModule.test_step

    @property
    def effective_experiment_name(self) -> str:
        """`experiment`, else the name of the model."""
        return str(getattr(self, "experiment", "") or self.model_name)  # type: ignore[attr-defined]
