"""The Trainer arguments that a container or a manifest gives, as the installed Lightning takes them."""

from __future__ import annotations

import difflib
import inspect
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

import pytorch_lightning as pl
from pytorch_lightning.callbacks import GradientAccumulationScheduler
from pytorch_lightning.strategies import Strategy

from innereye_runtime.errors import UsageError
from innereye_runtime.manifest.rules import RUNTIME_MANAGED_ARGS

log = logging.getLogger("innereye_runtime")

REPLACEMENTS: Final[dict[str, tuple[str, Callable[[Any], Any]]]] = {
    "replace_sampler_ddp": ("use_distributed_sampler", bool),
    "weights_summary": ("enable_model_summary", bool),
    "terminate_on_nan": ("detect_anomaly", bool),
    "reload_dataloaders_every_epoch": ("reload_dataloaders_every_n_epochs", int),
}
"""Arguments of Lightning 1 that are called otherwise today."""

_COMPUTE: Final = "set the devices in 'compute' of the manifest"
_NO_NEED: Final = "nothing needs it any more"
IGNORED_ARGUMENTS: Final[dict[str, str]] = {
    **{
        name: RUNTIME_MANAGED_ARGS[name] for name in ("default_root_dir", "enable_checkpointing", "enable_progress_bar")
    },
    "weights_save_path": RUNTIME_MANAGED_ARGS["default_root_dir"],
    "checkpoint_callback": RUNTIME_MANAGED_ARGS["enable_checkpointing"],
    "progress_bar_refresh_rate": "it is the parameter pl_progress_bar_refresh_rate",
    **dict.fromkeys(("gpus", "auto_select_gpus", "num_processes", "tpu_cores", "ipus"), _COMPUTE),
    "distributed_backend": _COMPUTE,
    "log_gpu_memory": "set the parameter monitor_gpu to log the load of the GPUs",
    **dict.fromkeys(("flush_logs_every_n_steps", "track_grad_norm", "prepare_data_per_node"), _NO_NEED),
    **dict.fromkeys(("process_position", "move_metrics_to_cpu", "amp_backend", "amp_level"), _NO_NEED),
}
"""Arguments that change nothing here, and why."""

_STRATEGIES: Final = ("dp", "ddp", "ddp2", "ddp_cpu", "ddp_spawn", "horovod")
"""What Lightning 1 took as an accelerator, and today's does not."""

_REFUSED: Final[dict[str, str]] = {
    "resume_from_checkpoint": "set the parameter src_checkpoint to the file, and resume_training to true",
    "auto_lr_find": "return a LearningRateFinder from get_callbacks",
    "auto_scale_batch_size": "return a BatchSizeFinder from get_callbacks",
    "stochastic_weight_avg": "return a StochasticWeightAveraging from get_callbacks",
    "multiple_trainloader_mode": "return a CombinedLoader from train_dataloader",
    "truncated_bptt_steps": "split the sequence in training_step, with automatic_optimization = False",
}
"""Arguments of Lightning 1 whose effect comes another way today; without a value they are left out."""


def container_arguments(arguments: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The arguments that a container gives: as today's Trainer calls them, without those that the runtime sets.

    Raises:
        UsageError: one is none of the Trainer's, or of Lightning 1 and has an effect that comes another way today.
    """
    result: dict[str, Any] = {}
    for name, value in arguments.items():
        if name in IGNORED_ARGUMENTS or (name == "accelerator" and value in _STRATEGIES):
            log.info("%s: '%s' is left out; %s", where, name, IGNORED_ARGUMENTS.get(name, _COMPUTE))
        elif name == "accumulate_grad_batches" and isinstance(value, Mapping):
            log.info("%s: '%s' by epoch is taken as a GradientAccumulationScheduler", where, name)
            result["callbacks"] = [*arguments.get("callbacks", ()), GradientAccumulationScheduler(dict(value))]
        elif name == "plugins" and (strategies := _strategies(value)):
            log.info("%s: %s among 'plugins' is taken as the strategy", where, type(strategies[0]).__name__)
            result["strategy"] = arguments.get("strategy") or strategies[0]
            result["plugins"] = [each for each in value if each not in strategies] if isinstance(value, list) else []
        elif name in REPLACEMENTS:
            today, convert = REPLACEMENTS[name]
            log.info("%s: '%s' is a Trainer argument of Lightning 1; taken as '%s'", where, name, today)
            result[today] = convert(value)
        elif name not in _REFUSED:
            result.setdefault(name, value)
        elif value:
            message = f"{where}: '{name}' is a Trainer argument of Lightning 1, which today's has not"
            raise UsageError(message, hint=_REFUSED[name])
    return known_arguments(result, where)


def _strategies(plugins: Any) -> list[Strategy]:
    """The plugins that are strategies today, as DDPPlugin of Lightning 1."""
    return [each for each in (plugins if isinstance(plugins, list) else [plugins]) if isinstance(each, Strategy)]


def known_arguments(arguments: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The arguments, all of which the Trainer has.

    Raises:
        UsageError: it has not; the message names the argument.
    """
    known = set(inspect.signature(pl.Trainer.__init__).parameters) - {"self"}
    for name in arguments:
        if name not in known:
            near = difflib.get_close_matches(name, sorted(known), 1)
            raise UsageError(
                f"{where}: pytorch_lightning.Trainer has no argument '{name}'",
                hint=f"did you mean '{near[0]}'?" if near else "innereye-run accepts those of the installed version",
            )
    return dict(arguments)
