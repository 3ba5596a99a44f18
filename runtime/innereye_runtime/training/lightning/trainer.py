"""The Lightning trainer of a run, from the container's parameters, its own trainer arguments and the manifest's."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.callbacks import Callback, Checkpoint, ModelCheckpoint, ModelSummary, ProgressBar
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.loggers.logger import Logger
from pytorch_lightning.strategies import DDPStrategy

from innereye_runtime.compat.lightning1_hooks import adapt_callback
from innereye_runtime.compat.trainer_args import container_arguments, known_arguments
from innereye_runtime.errors import PreflightError, UsageError
from innereye_runtime.job.rank_end import VARIABLE as OWN_LAUNCHER
from innereye_runtime.job.ranks import Ranks
from innereye_runtime.manifest.model import Gpus
from innereye_runtime.run.paths import RunPaths
from innereye_runtime.training.checkpoints.checkpointing import Recovery
from innereye_runtime.training.lifecycle.contract import callbacks_of, trainer_arguments_of
from innereye_runtime.training.lightning.batch_hooks import skip_empty_hooks
from innereye_runtime.training.lightning.metrics import MetricsTable
from innereye_runtime.training.lightning.own_loggers import own_loggers
from innereye_runtime.training.lightning.progress import TerminalBar

if TYPE_CHECKING:
    from innereye_runtime.api.container import LightningContainer

SMOKE_BATCHES = 2


def devices(gpus: Gpus, nodes: int, processes: int | None = None) -> dict[str, Any]:
    """The trainer arguments for the GPUs that the manifest asks for, or for `processes` on the CPU. With `gpus: all`,
    `processes` may be fewer than there are.

    Raises:
        PreflightError: they are not there. Training never falls back to the CPU in silence.
    """
    import torch

    if gpus == "none" or gpus == 0:
        count = processes or 1
        return {
            "accelerator": "cpu",
            "devices": count,
            "num_nodes": nodes,
            "strategy": "ddp" if count * nodes > 1 else "auto",
        }
    present = torch.cuda.device_count()
    wanted = list(gpus) if isinstance(gpus, tuple) else (processes or present) if gpus == "all" else int(gpus)
    missing = max(wanted, default=-1) + 1 if isinstance(wanted, list) else max(wanted, 1)
    if missing > present:
        found = "none" if present == 0 else f"only {present}"
        raise PreflightError(
            f"compute.gpus requests {wanted if isinstance(wanted, list) else gpus}, and PyTorch sees {found} here",
            hint="check that nvidia-smi sees them and that torch is a CUDA build, or set 'gpus: none' to use the CPU",
        )
    count = len(wanted) if isinstance(wanted, list) else wanted
    several = count * nodes > 1
    return {"accelerator": "gpu", "devices": wanted, "num_nodes": nodes, "strategy": "ddp" if several else "auto"}


def make_loggers(
    paths: RunPaths, *, resumed_step: int | None, resumed_epoch: int | None = None, rows: int | None = None
) -> list[Logger]:
    """TensorBoard and metrics.csv. `resumed_step`, `resumed_epoch`: the first that a restarted run takes again. `rows`:
    how many of metrics.csv it keeps, where that is known.

    TensorBoard is the first, so that a model without loggers of its own finds a writer at `self.logger.experiment`.
    """
    table = MetricsTable(paths.metrics_csv)
    if paths.metrics_csv.exists():
        resumed_step = resumed_step or 0  # an earlier attempt that reached no checkpoint leaves its rows all the same
        table.restart(resumed_step, resumed_epoch, rows)
    tensorboard = TensorBoardLogger(str(paths.logs), name="tensorboard", version="", purge_step=resumed_step)
    return [tensorboard, table]


def make_trainer(
    container: LightningContainer,
    *,
    paths: RunPaths,
    gpus: Gpus,
    nodes: int,
    processes: int | None,
    smoke: bool,
    manifest_arguments: Mapping[str, Any],
    epochs_given: bool,
    callbacks: Sequence[Callback],
    loggers: Sequence[Logger],
) -> pl.Trainer:
    """The trainer. What the manifest says wins over the container's `get_trainer_arguments`, and both over its
    parameters. `epochs_given`: num_epochs comes from the manifest or the command line, and wins over both.

    Raises:
        UsageError: an argument is none of `pytorch_lightning.Trainer`'s, or has a value that it does not take.
        PreflightError: the GPUs that the manifest or the container asks for are not there.
    """
    arguments: dict[str, Any] = {
        "max_epochs": container.num_epochs,
        "num_sanity_val_steps": container.pl_num_sanity_val_steps,
        "deterministic": container.pl_deterministic,
        "detect_anomaly": container.detect_anomaly,
        # Not "32-true", Lightning's default: it would contradict a precision among the `plugins`.
        "precision": "16-mixed" if container.use_mixed_precision else None,
        "limit_train_batches": container.pl_limit_train_batches,
        "limit_val_batches": container.pl_limit_val_batches,
        "limit_test_batches": container.pl_limit_test_batches,
        "fast_dev_run": container.pl_fast_dev_run or False,
        "accumulate_grad_batches": container.pl_accumulate_grad_batches,
        "log_every_n_steps": container.pl_log_every_n_steps,
        "check_val_every_n_epoch": container.pl_check_val_every_n_epoch,
        "sync_batchnorm": container.pl_sync_batchnorm and gpus != "none",  # PyTorch has it for GPUs alone
        "profiler": container.pl_profiler,
        "use_distributed_sampler": container.pl_replace_sampler_ddp,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        **devices(gpus, nodes, processes),
    }
    if arguments["strategy"] == "ddp" and container.pl_find_unused_parameters:
        arguments["strategy"] = "ddp_find_unused_parameters_true"
    if str(arguments["strategy"]).startswith("ddp") and container.pl_static_graph:
        unused = container.pl_find_unused_parameters
        arguments["strategy"] = DDPStrategy(static_graph=True, find_unused_parameters=unused)
    if gpus != "none" and container.max_num_gpus > 0 and isinstance(arguments["devices"], int):
        arguments["devices"] = min(arguments["devices"], container.max_num_gpus)
    where = f"{type(container).__name__}.get_trainer_arguments()"
    own = container_arguments(trainer_arguments_of(container), where)
    given = known_arguments(manifest_arguments, "the manifest's trainer.arguments")
    kept = [each.kept for each in callbacks if isinstance(each, Recovery)]
    skip_empty_hooks([*callbacks, *kept])
    given_callbacks = [*callbacks_of(container), *own.pop("callbacks")]
    callbacks = [*callbacks, *(adapt_callback(each) for each in given_callbacks)]
    _redirect_checkpoint_callbacks(callbacks, paths)
    # The last one: `trainer.checkpoint_callback` is the user's own where there is one.
    callbacks = [*callbacks, *kept]
    if epochs_given:
        own.pop("max_epochs", None)
    arguments |= own | given
    if smoke:
        arguments |= _smoke()
    if any(isinstance(each, ProgressBar) for each in callbacks):  # the user's own takes the place of ours
        callbacks = [each for each in callbacks if not isinstance(each, TerminalBar)]
        arguments["enable_progress_bar"] = True
    if any(isinstance(each, ModelSummary) for each in callbacks):
        arguments["enable_model_summary"] = True
    trainer = _build_trainer(
        where,
        default_root_dir=str(paths.root),
        callbacks=callbacks,
        logger=[*own_loggers(arguments.pop("logger", None), where), *loggers],
        # Recovery keeps the checkpoints; Lightning's own callback only runs where the user brings one.
        enable_checkpointing=any(isinstance(callback, Checkpoint) for callback in callbacks),
        **arguments,
    )
    for each in trainer.loggers:
        if isinstance(each, MetricsTable):
            each.follow(trainer)
    _check_ranks(trainer, Ranks.from_environment(os.environ))
    if trainer.precision == "64-true":
        container.model.double()  # Lightning does it after it has read a checkpoint, which would lose half of its bits
    return trainer


def _check_ranks(trainer: pl.Trainer, ranks: Ranks) -> None:
    """Raises UsageError where the launcher started more or fewer processes than the trainer is one of: they would wait
    for each other for ever, or each train alone and write one run folder."""
    world_size = trainer.num_devices * trainer.num_nodes  # Lightning's own number is what Slurm started
    alone = world_size == 1
    if ranks.launcher is None:
        return
    if alone and ranks.launcher.name == "Slurm" and ranks.is_first and "SLURM_STEP_ID" not in os.environ:
        return  # a batch script, which is one process however many tasks it may start by srun
    if ranks.processes == 1:  # it does not say how many it started
        agrees = not alone or ranks.is_first
    else:
        one_a_node = ranks.local_processes == 1 and trainer.num_nodes == ranks.processes
        agrees = one_a_node or world_size == ranks.processes
    if agrees:
        return
    if OWN_LAUNCHER in ranks.launcher.marks:
        hint = "leave devices, num_nodes and strategy to compute.processes and compute.nodes, or write 'processes: 1'"
    else:
        hint = (
            "set compute.nodes and compute.processes to what was started (Slurm starts them by srun), or start one "
            f"process without {' and '.join(ranks.launcher.marks)}"
        )
    raise UsageError(
        f"{ranks.launcher.name} started this process as rank {ranks.global_rank}, one of "
        f"{ranks.processes if ranks.processes > 1 else 'several'}, and the trainer has {world_size}",
        hint=hint,
    )


def _smoke() -> dict[str, Any]:
    """What makes one short epoch of whatever the run is: two batches of each loader, those of validation included."""
    limits = [f"limit_{loader}_batches" for loader in ("train", "val", "test", "predict")]
    return {
        **dict.fromkeys(limits, SMOKE_BATCHES),
        **dict.fromkeys(("min_epochs", "min_steps", "max_time")),
        "max_epochs": 1,
        "max_steps": -1,
        "val_check_interval": 1.0,
        "check_val_every_n_epoch": 1,
        "log_every_n_steps": 1,
        "fast_dev_run": False,
    }


def _build_trainer(where: str, **arguments: Any) -> pl.Trainer:
    """`where`: the method that gave some of the arguments."""
    import torch

    if arguments["accelerator"] in ("gpu", "cuda") and not torch.cuda.is_available():
        raise PreflightError(
            f"{where} requests the accelerator '{arguments['accelerator']}', and PyTorch finds no GPU on this machine",
            hint="leave the accelerator to compute.gpus, or check that nvidia-smi sees a GPU and torch is a CUDA build",
        )
    try:
        trainer = pl.Trainer(**arguments)
        if trainer.accumulate_grad_batches < 1:
            raise ValueError("accumulate_grad_batches has to be at least 1")
    except (MisconfigurationException, TypeError, ValueError) as error:
        hint = f"look at trainer.arguments in the manifest, and at {where}"
        raise UsageError(f"pytorch_lightning.Trainer does not take its arguments: {error}", hint=hint) from error
    return trainer


def _redirect_checkpoint_callbacks(callbacks: Sequence[Callback], paths: RunPaths) -> None:
    """Lets the user's own ModelCheckpoint write beside best.ckpt and last.ckpt, which a restart relies on."""
    for callback in callbacks:
        if isinstance(callback, ModelCheckpoint):
            folder = paths.root / (callback.dirpath or paths.checkpoints)
            callback.dirpath = str(folder)
            if folder.resolve() == paths.checkpoints.resolve():
                callback.CHECKPOINT_NAME_LAST = f"{type(callback).__name__}-last"
                if callback.filename in [path.stem for path in paths.resumable]:
                    callback.filename = f"{type(callback).__name__}-{callback.filename}"


def gpu_hardware() -> list[dict[str, Any]]:
    """Name and memory of each GPU that PyTorch sees; costs nothing where no CUDA build is installed."""
    import torch

    if not torch.cuda.is_available():
        return []
    found = (torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count()))
    return [{"name": properties.name, "memory_bytes": properties.total_memory} for properties in found]


def quieten_lightning() -> None:
    """Keeps Lightning's remarks on hardware, products and small loaders out of the log; its warnings of faults stay."""
    for name in ("pytorch_lightning.utilities.rank_zero", "lightning_fabric.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for remark in (
        "does not have many workers",
        "smaller than the logging interval",
        r"isinstance\(treespec, LeafSpec\)",
        "Found .* module\\(s\\) in eval mode",
        "The `srun` command is available",  # a cluster's login node, or a rank that was started by it indirectly
    ):
        warnings.filterwarnings("ignore", f".*{remark}")
