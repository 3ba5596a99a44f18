"""A fingerprint of a model's weights that is the same wherever equal weights are."""

from __future__ import annotations

import hashlib
import logging
import re
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from innereye_runtime.errors import DataError
from innereye_runtime.training.checkpoints.integrity import damage
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
    """The content of a checkpoint that the user names. No code in it is run.

    Raises:
        DataError: it is none, is damaged, or holds more than tensors and plain data.
    """
    import torch

    require_whole(path)
    try:
        with data_alone():
            content = torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # whatever torch.load makes of it
        if (refusal := refused_code(path, error)) is not None:
            raise refusal from error
        reason = str(error).partition("\n")[0]
        raise DataError(f"{path} is not a checkpoint: {reason}", hint=NO_CHECKPOINT) from error
    if not isinstance(content, dict) or "state_dict" not in content:
        raise DataError(f"{path} is not a Lightning checkpoint: it has no 'state_dict'", hint=NO_CHECKPOINT)
    return content


def require_whole(path: Path) -> None:
    """Raises DataError where the file of a checkpoint is damaged, which `torch.load` would not notice."""
    try:
        damaged = damage(path)
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror or error}", hint=NO_CHECKPOINT) from error
    if damaged is not None:
        raise DataError(f"{path} can't be read: {damaged}", hint="copy or download the file again, or save it again")


def data_alone() -> Any:
    """A context in which `torch.load(weights_only=True)` also takes what Lightning itself writes beside tensors."""
    import argparse
    import datetime
    import pathlib

    import numpy as np
    import torch

    kinds = ("bool", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8", "c8", "c16", "S1", "U1")
    numbers = [type(np.dtype(kind)) for kind in (*kinds, "M8", "m8")]
    values = [frozenset, range, slice, datetime.date, datetime.datetime, datetime.timedelta, datetime.timezone]
    makers = {"_reconstruct": np.empty(0).__reduce__()[0], "scalar": np.float32(0).__reduce__()[0]}
    modules = ("numpy._core.multiarray", "numpy.core.multiarray")  # as NumPy 2 and 1 name it
    named = [(maker, f"{module}.{name}") for name, maker in makers.items() for module in modules]
    arrays: list[Any] = [np.ndarray, np.dtype, *named]
    # A dict of its own class is not filled by weights_only: it is read as one that is.
    packages = ("lightning_fabric", "lightning.fabric")
    hyper = [(OrderedDict, f"{package}.utilities.data.AttributeDict") for package in packages]
    plain: list[Any] = [*hyper, argparse.Namespace, pathlib.Path, pathlib.PosixPath, pathlib.PurePosixPath]
    return torch.serialization.safe_globals([*plain, *arrays, *numbers, *values])


def refused_code(path: Any, error: Exception) -> DataError | None:
    """The error for a checkpoint that names code to run; None where `error` is another one."""
    found = re.search(r"GLOBAL (\S+) (?:was not|whose)|Unsupported class (\S+)|but got <class '([^']+)", str(error))
    if found is None:
        return None
    what = f"it names {found[1] or found[2] or found[3]}"
    return DataError(
        f"{path} is not loaded, because loading it could run code that it holds: {what}",
        hint=f"where its author can be trusted, load it in a script and keep the weights alone: {NO_CHECKPOINT}",
    )


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
