"""What is called around the methods of Lightning's loops, where it has no hook."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pytorch_lightning.utilities.exceptions import SIGTERMException

from innereye_runtime.training.lifecycle.signals import stop_requested


def call_after(owner: Any, name: str, then: Callable[..., None]) -> None:
    """Lets `then` be called after a method of `owner`, with its arguments."""
    whole = getattr(owner, name)

    def run(*arguments: Any) -> None:
        whole(*arguments)
        then(*arguments)

    setattr(owner, name, run)


@contextmanager
def own_stop() -> Iterator[None]:
    """Lightning's own stop after SIGTERM is not raised where this process is to stop anyway, once all is saved."""
    try:
        yield
    except SIGTERMException:
        if not stop_requested():
            raise
