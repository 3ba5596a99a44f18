"""`LightningContainer`: a model, its data and its hyperparameters, as one class that a manifest names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from innereye_runtime.api.described import description
from innereye_runtime.api.members import RunMembers
from innereye_runtime.api.params.dataset_params import DatasetParams
from innereye_runtime.api.params.optimizer_params import OptimizerParams
from innereye_runtime.api.params.output_params import OutputParams
from innereye_runtime.api.params.trainer_params import TrainerParams
from innereye_runtime.api.params.workflow_params import WorkflowParams

if TYPE_CHECKING:
    from pytorch_lightning import Callback, LightningDataModule, LightningModule


class LightningContainer(RunMembers, WorkflowParams, DatasetParams, OutputParams, TrainerParams, OptimizerParams):
    """Subclass it, override `create_model` and `get_data_module`, and name the class in a manifest.

    The methods are called in the order in which they stand here, but for those that say that they are not. From `setup`
    to the end the working directory is the run folder.
    """

    _model: LightningModule | None = None

    def set_model_variant(self, variant_name: str) -> None:
        """Changes parameters for the variant of the model that `model_variant` names. Called first of all, and not
        without a name: the manifest and the command line win over what it sets."""

    def setup(self) -> None:
        """Called first, on every rank: the dataset is there, the seed is set, and the working directory is the run
        folder."""

    def create_model(self) -> LightningModule:
        """The model to train. Called on every rank; must be overridden."""
        raise NotImplementedError(f"{type(self).__name__} must override create_model")

    def get_data_module(self) -> LightningDataModule:
        """The data for training and validation. Called on every rank; must be overridden."""
        raise NotImplementedError(f"{type(self).__name__} must override get_data_module")

    def before_training_on_global_rank_zero(self) -> None:
        """Called once, on the first rank of all."""

    def before_training_on_local_rank_zero(self) -> None:
        """Called once on each node, on its first rank."""

    def before_training_on_all_ranks(self) -> None:
        """Called once on every rank, last before the trainer is made."""

    def get_trainer_arguments(self) -> dict[str, Any]:
        """Arguments for `pytorch_lightning.Trainer`; an unknown one ends the run. `callbacks` are added to those of
        `get_callbacks`."""
        return {}

    def get_callbacks(self) -> list[Callback]:
        """Callbacks for the trainer."""
        return []

    def get_checkpoint_to_test(self) -> Path | None:
        """The checkpoint that inference uses; None: the best one by `checkpoint_monitor`."""
        return None

    def get_inference_data_module(self) -> LightningDataModule:
        """The data for inference on all splits, for the test and for predictions. Called on the first rank. Default:
        the same data as for training."""
        return self.get_data_module()

    def get_eval_data_module(self) -> LightningDataModule:
        """Of hi-ml: the data of its full evaluation, which `eval_full` asks for, and not called without it. Must be
        overridden for that."""
        return self.get_data_module()

    def on_run_extra_validation_epoch(self) -> None:
        """Of hi-ml: called before the extra validation of `run_extra_val_epoch`, and not without it. Default: the
        model's method of this name, where it has one."""
        if callable(hook := getattr(self.model, "on_run_extra_validation_epoch", None)):
            hook()

    def create_report(self) -> None:
        """Called last, after inference, where `generate_report` is set."""

    def update_azure_config(self, azure_config: Any) -> None:
        """Changes the settings of a job in Azure: cluster, experiment_name, tag, num_nodes and the like. Called when
        one is submitted; a change that can't be made here is refused by its name."""

    def update_experiment_config(self, experiment_config: Any) -> None:
        """The successor's name of `update_azure_config`."""

    def get_parameter_search_hyperdrive_config(self, run_config: Any) -> Any:
        """Of InnerEye: the parameter search to submit. Not called here; raises NotImplementedError unless
        overridden."""
        raise NotImplementedError(
            f"{type(self).__name__} has no parameter search: override get_parameter_search_hyperdrive_config"
        )

    def get_parameter_tuning_args(self) -> dict[str, Any]:
        """Of hi-ml: the parameter search to submit. Not called here."""
        return {}

    def get_additional_aml_run_tags(self) -> dict[str, str]:
        """Tags for the job in Azure. Called when one is submitted; those of the manifest win."""
        return {}

    def get_additional_environment_variables(self) -> dict[str, str]:
        """Environment variables for the job."""
        return {}

    def __str__(self) -> str:
        return description(self)

    @property
    def model(self) -> LightningModule:
        """The created model. Raises ValueError before `create_model` was called."""
        if self._model is None:
            raise ValueError(f"{type(self).__name__} has no model yet: create_model has not been called")
        return self._model

    @model.setter
    def model(self, model: LightningModule) -> None:
        self._model = model

    def create_lightning_module_and_store(self) -> None:
        """Creates the model, keeps it as `model`, and hands the parameters over to a `LightningModuleWithOptimizer`."""
        from innereye_runtime.api.module import LightningModuleWithOptimizer

        self.model = model = self.create_model()
        if isinstance(model, LightningModuleWithOptimizer):
            model.set_optimizer_and_trainer_parameters(self, self)
