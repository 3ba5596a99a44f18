"""Checkpoints that the user names, read for Lightning's own restore."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from lightning_fabric.plugins import CheckpointIO

from innereye_runtime.errors import DataError
from innereye_runtime.training.checkpoints.weights import NO_CHECKPOINT

_VERSION = "pytorch-lightning_version"
_NEWEST = version("pytorch_lightning")


class GivenCheckpoints(CheckpointIO):
    """A strategy's own `CheckpointIO`, which also reads a checkpoint that holds a `state_dict` and nothing else."""

    def __init__(self, own: CheckpointIO) -> None:
        self._own = own

    def load_checkpoint(self, path: Any, *arguments: Any, **named: Any) -> dict[str, Any]:
        """The checkpoint's content.

        Raises:
            DataError: the file is not a checkpoint.
        """
        try:
            content = self._own.load_checkpoint(path, *arguments, **named)
        except MemoryError:
            raise
        except Exception as error:  # whatever torch.load makes of it
            reason = str(error).partition("\n")[0]
            raise DataError(f"{path} is not a checkpoint: {reason}", hint=NO_CHECKPOINT) from error
        if Path(path).is_dir():  # one of many files, whose form is the strategy's own
            return content
        if not isinstance(content, dict) or "state_dict" not in content:
            raise DataError(f"{path} is not a Lightning checkpoint: it has no 'state_dict'", hint=NO_CHECKPOINT)
        return {_VERSION: _NEWEST, **content}

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        self._own.save_checkpoint(checkpoint, path, storage_options)

    def remove_checkpoint(self, path: Any) -> None:
        self._own.remove_checkpoint(path)

    def teardown(self) -> None:
        self._own.teardown()


def read_given_checkpoints(trainer: pl.Trainer) -> None:
    """Lets the trainer read checkpoints as the user may have written them. Idempotent."""
    strategy = trainer.strategy
    if not isinstance(strategy.checkpoint_io, GivenCheckpoints):
        strategy.checkpoint_io = GivenCheckpoints(strategy.checkpoint_io)
