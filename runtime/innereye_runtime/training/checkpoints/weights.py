"""A fingerprint of a model's weights that is the same wherever equal weights are."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from innereye_runtime.errors import DataError
from innereye_runtime.training.checkpoints.tensor_bytes import tensor_bytes

if TYPE_CHECKING:
    import pytorch_lightning as pl

log = logging.getLogger("innereye_runtime")

NO_CHECKPOINT: Final = "weights alone become one by torch.save({'state_dict': model.state_dict()}, FILE)"


def weights_sha256(state_dict: Mapping[str, Any]) -> str:
    """The sha256 over a state_dict: for each key in sorted order its UTF-8 name, `str(dtype)`, `str(shape)` and the
    bytes.

    The bytes are those of the contiguous tensor, little-endian, and for other layouts those of its parts
    (`tensor_bytes`). Entries that are no tensors (`get_extra_state`) don't count; one whose bytes can't be had counts
    with its name alone, and is reported.
    """
    import torch

    digest = hashlib.sha256()
    unread: list[str] = []
    for name in sorted(state_dict):
        tensor = state_dict[name]
        if not isinstance(tensor, torch.Tensor):
            continue
        digest.update(name.encode())
        try:
            digest.update(str(tensor.dtype).encode())
            if not tensor.is_nested:  # its tensors have shapes, and `tensor_bytes` has them
                digest.update(str(tensor.shape).encode())
            for part in tensor_bytes(tensor):
                digest.update(part)
        except Exception as error:  # whatever a tensor class of its own makes of it: no run ends for a fingerprint
            unread.append(f"{name} ({type(tensor).__name__}: {str(error).partition(chr(10))[0]})")
    if unread:
        log.warning("warning: weights_sha256 does not cover the values of %s", ", ".join(unread))
    return digest.hexdigest()


def load_into(model: pl.LightningModule, content: dict[str, Any]) -> None:
    """Makes `model` what it was when the checkpoint `content` was saved: its weights, and what it keeps beside them."""
    model.on_load_checkpoint(content)
    model.load_state_dict(content["state_dict"])


def read_weights(path: Path) -> dict[str, Any]:
    """The content of a checkpoint that the user names.

    Raises:
        DataError: it is none.
    """
    try:
        content = read_checkpoint(path)
    except Exception as error:  # whatever torch.load makes of it
        reason = str(error).partition("\n")[0]
        raise DataError(f"{path} is not a checkpoint: {reason}", hint=NO_CHECKPOINT) from error
    if not isinstance(content, dict) or "state_dict" not in content:
        raise DataError(f"{path} is not a Lightning checkpoint: it has no 'state_dict'", hint=NO_CHECKPOINT)
    return content


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint that this runtime or Lightning wrote, its tensors on the CPU.

    Checkpoints are pickles: they hold what callbacks and hyperparameters are made of, and are trusted as the user's own
    code is.

    Raises:
        Exception: whatever `torch.load` raises for a file that is cut short or no checkpoint.
    """
    import torch

    content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=False)
    return content
