"""`TrainerParams`: what the Lightning trainer is told."""

from __future__ import annotations

import param

from innereye_runtime.api.params.generic_config import GenericConfig
from innereye_runtime.parameters.types import Alias


class TrainerParams(GenericConfig):
    """How long and how the trainer trains. Names that start with `pl_` go to the Lightning argument of that name."""

    num_epochs = param.Integer(100, bounds=(1, None), doc="Number of epochs to train.")
    max_epochs = Alias(of="num_epochs", doc="Number of epochs to train.")
    autosave_every_n_val_epochs = param.Integer(
        1, bounds=(0, None), doc="Epochs with validation between two recovery checkpoints."
    )
    detect_anomaly = param.Boolean(False, doc="Stop where a gradient is not a number, and name the operation. Slow.")
    use_mixed_precision = param.Boolean(False, doc="Train with 16-bit mixed precision.")
    max_num_gpus = param.Integer(-1, doc="The most GPUs to use of those that the manifest requests; -1: all.")
    pl_progress_bar_refresh_rate = param.Integer(
        None, doc="Batches between two updates of the progress bar; unset: chosen."
    )
    pl_num_sanity_val_steps = param.Integer(
        0, bounds=(-1, None), doc="Validation batches before training starts; -1: all of them."
    )
    pl_deterministic = param.Boolean(False, doc="Use deterministic algorithms only.")
    pl_find_unused_parameters = param.Boolean(
        False, doc="With several processes: allow parameters that get no gradient."
    )
    pl_limit_train_batches = param.Number(
        None, bounds=(0, None), doc="Training batches an epoch: a whole number, or a fraction."
    )
    pl_limit_val_batches = param.Number(
        None, bounds=(0, None), doc="Validation batches an epoch: a whole number, or a fraction."
    )
    pl_limit_test_batches = param.Number(None, bounds=(0, None), doc="Test batches: a whole number, or a fraction.")
    pl_fast_dev_run = param.Integer(None, bounds=(0, None), doc="Run only so many batches of everything; unset: all.")
    pl_accumulate_grad_batches = param.Integer(
        1, bounds=(1, None), doc="Batches whose gradients are summed before a step."
    )
    pl_log_every_n_steps = param.Integer(
        50, bounds=(1, None), doc="Steps between two values of a metric that is logged by step; once an epoch at least."
    )
    pl_sync_batchnorm = param.Boolean(True, doc="With several processes: batch normalisation over all of them.")
    pl_replace_sampler_ddp = param.Boolean(
        True, doc="With several processes: each one gets its own part of the training data."
    )
    pl_static_graph = param.Boolean(False, doc="With several processes: the graph is the same in each iteration.")
    max_num_gpus_inference = param.Integer(1, doc="Of hi-ml; evaluation runs on one process, whatever it says.")
    pl_profiler = param.String(
        None, allow_None=True, doc="A profiler of Lightning: simple, advanced or pytorch; unset: none."
    )
    pl_check_val_every_n_epoch = param.Integer(1, bounds=(1, None), doc="Epochs between two validations.")
    monitor_gpu = param.Boolean(False, doc="Log the load of the GPUs.")
    monitor_loading = param.Boolean(False, doc="Log the time that data loading takes.")
    monitor_training = param.Boolean(False, doc="The successor's name of monitor_loading.")
