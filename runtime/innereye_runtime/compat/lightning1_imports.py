"""Lets modules written for Lightning 1 import what has moved since: its metrics are a package of their own today,
`torchmetrics`, and some of its modules have other names."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any, Final

MOVED: Final = {
    "pytorch_lightning.metrics": "torchmetrics",
    "pytorch_lightning.metrics.functional": "torchmetrics.functional",
    "pytorch_lightning.core.lightning": "pytorch_lightning.core.module",
    "pytorch_lightning.callbacks.base": "pytorch_lightning.callbacks.callback",
    "pytorch_lightning.callbacks.gpu_stats_monitor": "pytorch_lightning.callbacks.device_stats_monitor",
    "pytorch_lightning.loggers.base": "pytorch_lightning.loggers.logger",
    "pytorch_lightning.utilities.apply_func": "lightning_fabric.utilities.apply_func",
    "pytorch_lightning.utilities.cli": "pytorch_lightning.cli",
    "pytorch_lightning.utilities.cloud_io": "lightning_fabric.utilities.cloud_io",
    "pytorch_lightning.utilities.device_parser": "lightning_fabric.utilities.device_parser",
    "pytorch_lightning.utilities.distributed": "pytorch_lightning.utilities.rank_zero",
    "pytorch_lightning.trainer.supporters": "pytorch_lightning.utilities.combined_loader",
    "pytorch_lightning.profiler": "pytorch_lightning.profilers",
    "pytorch_lightning.profiler.advanced": "pytorch_lightning.profilers.advanced",
    "pytorch_lightning.profiler.base": "pytorch_lightning.profilers.profiler",
    "pytorch_lightning.profiler.profilers": "pytorch_lightning.profilers",
    "pytorch_lightning.profiler.pytorch": "pytorch_lightning.profilers.pytorch",
    "pytorch_lightning.profiler.simple": "pytorch_lightning.profilers.simple",
    "pytorch_lightning.plugins.training_type": "pytorch_lightning.strategies",
    "pytorch_lightning.plugins.training_type.ddp": "pytorch_lightning.strategies.ddp",
    "pytorch_lightning.plugins.training_type.deepspeed": "pytorch_lightning.strategies.deepspeed",
    "pytorch_lightning.plugins.training_type.fully_sharded": "pytorch_lightning.strategies.fsdp",
    "pytorch_lightning.plugins.training_type.parallel": "pytorch_lightning.strategies.parallel",
    "pytorch_lightning.plugins.training_type.single_device": "pytorch_lightning.strategies.single_device",
    "pytorch_lightning.plugins.training_type.training_type_plugin": "pytorch_lightning.strategies.strategy",
}
_STRATEGIES: Final = {
    "DDPPlugin": "DDPStrategy",
    "DeepSpeedPlugin": "DeepSpeedStrategy",
    "DDPFullyShardedPlugin": "FSDPStrategy",
    "ParallelPlugin": "ParallelStrategy",
    "SingleDevicePlugin": "SingleDeviceStrategy",
    "TrainingTypePlugin": "Strategy",
}
_PROFILERS: Final = {"BaseProfiler": "Profiler", "AbstractProfiler": "Profiler"}
RENAMED: Final[dict[str, dict[str, str]]] = {
    "pytorch_lightning.callbacks.gpu_stats_monitor": {"GPUStatsMonitor": "DeviceStatsMonitor"},
    "pytorch_lightning.loggers.base": {"LightningLoggerBase": "Logger"},
    "pytorch_lightning.utilities.cloud_io": {"load": "_load", "atomic_save": "_atomic_save"},
    **{name: _PROFILERS for name in MOVED if name.startswith("pytorch_lightning.profiler")},
    **{name: _STRATEGIES for name in MOVED if name.startswith("pytorch_lightning.plugins.training_type")},
}
"""Names in the modules above that are others today."""

_BESIDE: Final[dict[str, dict[str, tuple[str, str]]]] = {
    "pytorch_lightning.callbacks": {
        "GPUStatsMonitor": ("pytorch_lightning.callbacks", "DeviceStatsMonitor"),
        "ProgressBarBase": ("pytorch_lightning.callbacks", "ProgressBar"),
    },
    "pytorch_lightning.callbacks.progress": {"ProgressBarBase": ("pytorch_lightning.callbacks", "ProgressBar")},
    "pytorch_lightning.plugins": {old: ("pytorch_lightning.strategies", new) for old, new in _STRATEGIES.items()},
    "pytorch_lightning.utilities": {
        "move_data_to_device": ("lightning_fabric.utilities.apply_func", "move_data_to_device"),
        "apply_to_collection": ("lightning_utilities.core.apply_func", "apply_to_collection"),
    },
    "pytorch_lightning.utilities.seed": {"seed_everything": ("pytorch_lightning", "seed_everything")},
}
"""Names that are gone from modules which are still there, and where they are today."""


class _MovedModules(MetaPathFinder, Loader):
    """Found after all others, so that a module that is really there wins."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(fullname, self, is_package=True) if fullname in MOVED else None

    def exec_module(self, module: ModuleType) -> None:
        today = import_module(MOVED[module.__name__])
        vars(module).update({name: value for name, value in vars(today).items() if not name.startswith("__")})
        for old, new in RENAMED.get(module.__name__, {}).items():
            if hasattr(today, new):
                setattr(module, old, getattr(today, new))


class _WithOldNames(MetaPathFinder):
    """Gives Lightning its old names as soon as it is imported, and costs nothing where it is not."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path) if fullname == "pytorch_lightning" else None
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            _give_old_names()

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def install() -> None:
    """Lets the old names be imported from here on. Idempotent."""
    if any(isinstance(finder, _MovedModules) for finder in sys.meta_path):
        return
    sys.meta_path.append(_MovedModules())
    if "pytorch_lightning" in sys.modules:
        _give_old_names()
    else:
        sys.meta_path.insert(0, _WithOldNames())


def _give_old_names() -> None:
    _allow_data_modules_without_init()
    import_module("pytorch_lightning.metrics.functional")  # so that `pl.metrics` is there after `import ... as pl`
    for name, names in _BESIDE.items():
        module = import_module(name)
        for old, (home, new) in names.items():
            vars(module).setdefault(old, getattr(import_module(home), new))
    types = import_module("pytorch_lightning.utilities.types")
    vars(types).setdefault("EPOCH_OUTPUT", list[Any])  # only annotations name it


def _allow_data_modules_without_init() -> None:
    """Gives every data module what its base's `__init__` sets: those of the toolbox's documentation never called it."""
    base = import_module("pytorch_lightning").LightningDataModule
    set_by_init = {
        "trainer": None,
        "prepare_data_per_node": True,
        "allow_zero_length_dataloader_with_multiple_devices": False,
        "_log_hyperparams": False,
    }
    for name, value in set_by_init.items():
        if not hasattr(base, name):
            setattr(base, name, value)
