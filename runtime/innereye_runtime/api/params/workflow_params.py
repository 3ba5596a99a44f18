"""`WorkflowParams`: what a run does around training: seeds, cross-validation, inference, starting weights, the
report."""

from __future__ import annotations

from enum import Enum

import param

from innereye_runtime.api.params.generic_config import GenericConfig
from innereye_runtime.parameters import constraints
from innereye_runtime.parameters.types import Alias, PathList, PathParameter, StringList


class MultiprocessingStartMethod(Enum):
    """How worker processes of data loaders start."""

    fork = "fork"
    forkserver = "forkserver"
    spawn = "spawn"


class WorkflowParams(GenericConfig):
    """What a run does around training. Every parameter is public; `validate` holds the rules between them."""

    random_seed = param.Integer(
        42, doc="Seed of every generator and worker; with cross-validation the split index is added."
    )
    number_of_cross_validation_splits = param.Integer(
        0, bounds=(0, None), doc="Number of cross-validation splits, at least two; 0: no cross-validation."
    )
    cross_validation_split_index = param.Integer(
        -1, bounds=(-1, None), doc="The split that this run trains on, counted from 0; -1: no cross-validation."
    )
    inference_on_train_set = param.Boolean(None, doc="Inference on the training set after training; unset: yes.")
    inference_on_val_set = param.Boolean(None, doc="Inference on the validation set after training; unset: yes.")
    inference_on_test_set = param.Boolean(None, doc="Inference on the test set after training; unset: yes.")
    ensemble_inference_on_train_set = param.Boolean(None, doc="Ensemble inference on the training set; unset: no.")
    ensemble_inference_on_val_set = param.Boolean(None, doc="Ensemble inference on the validation set; unset: no.")
    ensemble_inference_on_test_set = param.Boolean(None, doc="Ensemble inference on the test set; unset: yes.")
    ensemble_average: param.Selector[str] = param.Selector(
        default="outputs",
        objects=["outputs", "weights"],
        doc="What inference with several checkpoints averages: the outputs of their models, or their weights.",
    )
    inference_forward: param.Selector[str] = param.Selector(
        default="item",
        objects=["item", "first"],
        doc="What InnerEyeInference passes to the model's forward: the loader's whole item, or its first element.",
    )
    weights_url = StringList([], doc="URLs of checkpoints to start from, with https; #sha256=... checks the file.")
    weights_url_allow_http = param.Boolean(False, doc="Also take checkpoints from URLs with http.")
    local_weights_path = PathList([], doc="Checkpoint files to start from.")
    model_id = param.String("", doc="A registered model to start from, as name:version.")
    src_checkpoint = param.String("", doc="A checkpoint to start from: a file, a URL, or RUN[:path/]file.")
    checkpoint_monitor = param.String(
        "",
        doc="Metric of the best checkpoint; '': a ModelCheckpoint's, or val/Loss, val/loss, val_loss; 'last': none.",
    )
    checkpoint_mode: param.Selector[str] = param.Selector(
        default="auto",
        objects=["auto", "min", "max"],
        doc="Whether a lower or a higher value is better; auto: by the metric's name (higher for dice, accuracy, ...).",
    )
    generate_report = param.Boolean(True, doc="Call create_report after inference.")
    pretraining_run_recovery_id = param.String(
        None, allow_None=True, doc="A run whose weights pretraining starts from."
    )
    multiprocessing_start_method = param.ClassSelector(
        class_=MultiprocessingStartMethod,
        default=MultiprocessingStartMethod.fork,
        instantiate=False,
        doc="How worker processes of data loaders start.",
    )
    monitoring_interval_seconds = param.Integer(
        0, bounds=(0, None), doc="Seconds between records of the machine's load; 0: none."
    )
    regression_test_folder = PathParameter(
        None, allow_None=True, doc="Expected outputs; a difference from them fails the run."
    )
    regression_test_csv_tolerance = param.Number(
        0.0,
        bounds=(0.0, None),
        doc="Largest relative difference of numbers in CSV files that regression_test_folder lets pass.",
    )
    predict = param.Boolean(
        True, doc="Run predict_step over predict_dataloader after the test, where the model has both."
    )
    run_inference_only = param.Boolean(False, doc="Skip training: only inference, with the weights to start from.")
    eval_full = param.Boolean(
        False, doc="Of hi-ml (--mode=eval_full): skip training, and test the given weights on get_eval_data_module."
    )
    resume_training = param.Boolean(False, doc="With initial weights: also resume their optimizer state and epoch.")
    model_variant = param.String("", doc="Variant of the model, for the container's set_model_variant; '': none.")
    different_seeds = param.Integer(0, bounds=(0, None), doc="Number of runs that differ by their seed; 0: one run.")
    run_extra_val_epoch = param.Boolean(
        False, doc="Validate the best checkpoint once more after training, for what only that shall write."
    )
    regression_metrics = param.String(
        "", doc="Of hi-ml, refused: regression_test_folder with a metrics.json compares metrics."
    )
    experiment = param.String("", doc="Experiment of a job in Azure, where the manifest names none.")
    tag = param.String("", doc="Value of the tag 'tag' of a job in Azure; '': no such tag.")
    datastore = param.String("", doc="Datastore of a job in Azure, where the manifest names none.")
    crossval_count = Alias(
        of="number_of_cross_validation_splits", values={1: 0}, doc="Number of cross-validation splits; 1: none."
    )
    crossval_index = Alias(
        of="cross_validation_split_index", values={None: -1}, doc="The split that this run trains on; unset: none."
    )

    def validate(self) -> None:
        super().validate()
        constraints.enforce(self, constraints.WORKFLOW)

    @property
    def perform_cross_validation(self) -> bool:
        """True where this run trains on one of several splits, or starts them all."""
        return bool(self.number_of_cross_validation_splits > 1)

    @property
    def _skips_training(self) -> bool:
        return bool(self.run_inference_only or self.eval_full)

    @property
    def is_crossval_enabled(self) -> bool:
        return self.perform_cross_validation

    @property
    def is_crossvalidation_enabled(self) -> bool:
        """hi-ml's name of `perform_cross_validation`."""
        return self.perform_cross_validation

    @property
    def is_crossvalidation_child_run(self) -> bool:
        """True where this run trains on one of several splits."""
        return self.perform_cross_validation and bool(self.cross_validation_split_index >= 0)

    @property
    def effective_random_seed(self) -> int:
        """`random_seed`, plus the split index while cross-validating."""
        index = self.cross_validation_split_index if self.perform_cross_validation else 0
        return int(self.random_seed + max(index, 0))

    def get_effective_random_seed(self) -> int:
        return self.effective_random_seed
