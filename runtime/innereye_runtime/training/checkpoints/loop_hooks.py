"""What is called around the methods of Lightning's loops, where it has no hook."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.utilities.exceptions import SIGTERMException

from innereye_runtime.training.lifecycle.signals import check_stop, stop_requested


def call_after(owner: Any, name: str, then: Callable[..., None]) -> None:
    """Lets `then` be called after a method of `owner`, with its arguments."""
    whole = getattr(owner, name)

    def run(*arguments: Any) -> None:
        whole(*arguments)
        then(*arguments)

    setattr(owner, name, run)


def around_batches(loop: Any, before_validation: Callable[[], None], after_batch: Callable[[], None]) -> None:
    """Lets both be called at the end of each batch of Lightning's `fit_loop`: before a validation that may follow it,
    and after that."""
    advanced, ended = loop.epoch_loop.on_advance_end, loop.on_advance_end

    def on_advance_end(fetcher: Any) -> None:
        before_validation()
        with own_stop(loop.trainer):
            advanced(fetcher)
        after_batch()

    def on_epoch_end() -> None:
        with own_stop(loop.trainer):
            ended()

    loop.epoch_loop.__dict__["on_advance_end"] = on_advance_end
    loop.__dict__["on_advance_end"] = on_epoch_end


def rule_signals(trainer: pl.Trainer) -> None:
    """Takes from Lightning what it sends to the other processes about SIGTERM: in a signal handler, where it gets
    between what the processes exchange anyway, and before each batch. Processes that it started still get the signal.
    """
    connector: Any = trainer._signal_connector

    def notify(signum: int, frame: Any) -> None:
        launcher: Any = trainer.strategy.launcher
        if not connector.received_sigterm and hasattr(launcher, "kill"):
            launcher.kill(signum)
        connector.received_sigterm = True

    connector._sigterm_notifier_fn = notify
    trainer.fit_loop.epoch_loop.__dict__["_broadcast_sigterm_tensor"] = lambda: None


@contextmanager
def own_stop(trainer: pl.Trainer) -> Iterator[None]:
    """Lightning's own stop after SIGTERM is not raised where this process is to stop anyway, once all is saved. It is
    where Lightning broke off a validation: what was saved before that is right, and what would be saved now is not."""
    try:
        yield
    except SIGTERMException:
        if trainer.validating:
            check_stop()
        if trainer.validating or not stop_requested():
            raise
