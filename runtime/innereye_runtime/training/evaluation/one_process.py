"""Evaluation on one process: the first of several takes every sample exactly once, and the others wait for it.

Lightning would share the samples out between the processes, repeat some so that all have equally many, and average what
they log: numbers that depend on how many processes there are.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.strategies import DDPStrategy, DeepSpeedStrategy, SingleDeviceStrategy
from torch import distributed
from torch.distributed.distributed_c10d import _get_default_store

log = logging.getLogger("innereye_runtime")

_ENDED: Final = "innereye_runtime/evaluation/ended"
_LEFT: Final = "innereye_runtime/evaluation/left"
_POLL_SECONDS: Final = 0.2
_FAREWELL_SECONDS: Final = 5.0
_THREADS: Final = "OMP_NUM_THREADS"


class Threads(Callback):
    """Remembers how many threads a process has before Lightning's launcher shares the cores out between processes.

    The order in which PyTorch adds numbers depends on it, and with it their last bits.
    """

    def __init__(self) -> None:
        self._count = torch.get_num_threads()
        self._variable = os.environ.get(_THREADS)

    def restore(self) -> None:
        torch.set_num_threads(self._count)
        if self._variable is None:
            os.environ.pop(_THREADS, None)


@contextmanager
def one_process(trainer: pl.Trainer) -> Iterator[bool]:
    """True in the process that evaluates, whose trainer has one device from here on; False in all others, once that one
    has left the block, however it left it.

    The others wait as long as that takes, and end with an error where the first one's process is gone. A model that is
    shared out between the processes (FSDP, DeepSpeed) is evaluated by all of them together: True in each.
    """
    strategy = trainer.strategy
    if trainer.world_size == 1:
        yield True
        return
    if not isinstance(strategy, DDPStrategy) or isinstance(strategy, DeepSpeedStrategy):
        log.warning(
            "warning: %s evaluates on all %d processes: some samples may count twice in the metrics",
            type(strategy).__name__,
            trainer.world_size,
        )
        yield True
        return
    others = trainer.world_size - 1
    store = _leave_group(strategy)
    if not trainer.is_global_zero:
        _wait(store)
        yield False
        return
    _take_one_device(trainer, strategy)
    try:
        yield True
    finally:
        _let_go(store, others)


def _leave_group(strategy: DDPStrategy) -> Any:
    """The store through which the processes can still reach each other; None where no other was ever started.

    The group itself ends: whoever waits in a collective call of it does so for its time-out and no longer.
    """
    if not distributed.is_initialized():  # nothing was trained in this attempt
        if strategy.cluster_environment is None or not strategy.cluster_environment.creates_processes_externally:
            return None
        strategy.setup_environment()
    store = _get_default_store()
    strategy.barrier()
    distributed.destroy_process_group()
    return store


def _take_one_device(trainer: pl.Trainer, strategy: DDPStrategy) -> None:
    # User code that shares samples out, asks for its rank or sets a barrier finds a group of one.
    store = distributed.HashStore()  # type: ignore[attr-defined]
    distributed.init_process_group(strategy._get_process_group_backend(), store=store, rank=0, world_size=1)
    trainer._accelerator_connector.strategy = SingleDeviceStrategy(
        device=strategy.root_device,
        accelerator=strategy.accelerator,
        checkpoint_io=strategy.checkpoint_io,
        precision_plugin=strategy.precision_plugin,
    )
    for callback in vars(trainer)["callbacks"]:
        if isinstance(callback, Threads):
            callback.restore()


def _wait(store: Any) -> None:
    # Asking again and again, and not waiting in the store: that has a time-out, and would not let a signal through.
    while not store.check([_ENDED]):
        time.sleep(_POLL_SECONDS)
    store.add(_LEFT, 1)


def _let_go(store: Any, others: int) -> None:
    """Lets the others go. The store may end with this process, so it gives them the time to ask once more."""
    if store is None:
        return
    store.set(_ENDED, "1")
    deadline = time.monotonic() + _FAREWELL_SECONDS
    while store.add(_LEFT, 0) < others and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS / 4)
