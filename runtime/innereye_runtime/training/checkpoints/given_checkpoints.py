"""Checkpoints that the user names, read for Lightning's own restore."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from lightning_fabric.plugins import CheckpointIO
from pytorch_lightning.plugins.io import TorchCheckpointIO

from innereye_runtime.errors import DataError
from innereye_runtime.training.checkpoints.checkpoint_files import WholeFiles
from innereye_runtime.training.checkpoints.pretrained import FOLDER
from innereye_runtime.training.checkpoints.weights import NO_CHECKPOINT, data_alone, refused_code, require_whole

_VERSION = "pytorch-lightning_version"
_NEWEST = version("pytorch_lightning")


class GivenCheckpoints(CheckpointIO):
    """A strategy's own `CheckpointIO`, which also reads a checkpoint that holds a `state_dict` and nothing else."""

    def __init__(self, own: CheckpointIO, trusted: Path) -> None:
        self._own = own
        self._trusted = trusted.resolve()

    def load_checkpoint(self, path: Any, *arguments: Any, **named: Any) -> dict[str, Any]:
        """The checkpoint's content. Only those that this run wrote, below `trusted`, are unpickled whole.

        Raises:
            DataError: the file is damaged, is not a checkpoint, or is from outside and holds more than plain data.
        """
        if Path(path).is_file():
            require_whole(Path(path))
        try:
            if self._is_own(Path(path).resolve()):
                content = self._own.load_checkpoint(path, *arguments, **named)
            else:
                with data_alone():
                    content = self._own.load_checkpoint(path, *arguments, **{**named, "weights_only": True})
        except MemoryError:
            raise
        except Exception as error:  # whatever torch.load makes of it
            if (refusal := refused_code(path, error)) is not None:
                raise refusal from error
            reason = str(error).partition("\n")[0]
            raise DataError(f"{path} is not a checkpoint: {reason}", hint=NO_CHECKPOINT) from error
        if Path(path).is_dir():  # one of many files, whose form is the strategy's own
            return content
        if not isinstance(content, dict) or "state_dict" not in content:
            raise DataError(f"{path} is not a Lightning checkpoint: it has no 'state_dict'", hint=NO_CHECKPOINT)
        return {_VERSION: _NEWEST, **content}

    def _is_own(self, path: Path) -> bool:
        return path.is_relative_to(self._trusted) and not path.is_relative_to(self._trusted / FOLDER)

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        self._own.save_checkpoint(checkpoint, path, storage_options)

    def remove_checkpoint(self, path: Any) -> None:
        self._own.remove_checkpoint(path)

    def teardown(self) -> None:
        self._own.teardown()


def read_given_checkpoints(trainer: pl.Trainer) -> None:
    """Lets the trainer read checkpoints as the user may have written them, and trust those of its run folder alone.
    Idempotent.
    """
    strategy = trainer.strategy
    own = strategy.checkpoint_io
    if not isinstance(own, GivenCheckpoints):
        own = WholeFiles() if type(own) is TorchCheckpointIO else own
        strategy.checkpoint_io = GivenCheckpoints(own, Path(trainer.default_root_dir))
