"""What the state of each process differs in from that of the first one, in a checkpoint that all of them save together.

A checkpoint has the state of the first process: weights and optimizers are the same in all of them. Here the parts that
are not (generators, gradients that are not reduced yet, running statistics, metrics, callbacks) are found by their
digests, collected, and put in their place again in the process that they are of.
"""

from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy
import pytorch_lightning as pl
import torch

from innereye_runtime.training.checkpoints.tensor_bytes import tensor_bytes
from innereye_runtime.training.checkpoints.world import World

PARTS: Final = "innereye_ranks"
"""Where a checkpoint has them: by rank, as the bytes of what `torch.save` makes of them."""
_SHARED: Final = ("state_dict", "optimizer_states")
_Path = tuple[Any, ...]


def store(trainer: pl.Trainer, world: World, path: Path, *, weights: bool) -> None:
    """Saves the state of all processes to `path`; all of them call it, and none returns before it is there. `weights`:
    weights, running statistics and optimizers may differ too. Between two epochs they don't, and the next batch begins
    with the statistics of the first process.

    Raises:
        OSError: in the first process, which writes.
    """
    checkpoint = trainer._checkpoint_connector.dump_checkpoint(weights_only=False)
    compared = {key: each for key, each in checkpoint.items() if weights or key not in _SHARED}
    checkpoint[PARTS] = {"processes": world.size, "parts": _collected(compared, world)}
    failure = None
    if trainer.is_global_zero:
        try:
            trainer.strategy.checkpoint_io.save_checkpoint(checkpoint, path)
        except OSError as error:
            failure = error
    world.agree(failure is not None)
    if failure is not None:
        raise failure


def put_in_place(checkpoint: dict[str, Any], rank: int, processes: int) -> None:
    """Makes a checkpoint of as many processes the one that `rank` would have saved alone; leaves one of another number
    that of the first."""
    saved = checkpoint.pop(PARTS, None)
    if saved is None or saved["processes"] != processes or rank not in saved["parts"]:
        return
    packed = io.BytesIO(saved["parts"][rank].numpy().tobytes())
    changed, gone = torch.load(packed, map_location="cpu", weights_only=False)
    for path in reversed(gone):
        del _holder(checkpoint, path)[path[-1]]
    for path, value in changed:
        holder = _holder(checkpoint, path)
        if isinstance(holder, list) and path[-1] == len(holder):
            holder.append(value)
        else:
            holder[path[-1]] = value


def reason_of_weights(trainer: pl.Trainer, world: World) -> str:
    """Why the weights of the first process, which DDP begins with, are not those of all; empty: they are. All processes
    call it together."""
    if world.size == 1:
        return ""
    digest = hashlib.sha256()
    for weight in trainer.lightning_module.parameters():
        digest.update(_digest(weight.detach()))
    own = digest.digest()
    return world.reason("" if world.of_first(own) == own else "the weights of its processes differ")


def _collected(checkpoint: Mapping[str, Any], world: World) -> dict[int, torch.Tensor]:
    """The parts of all processes but the first, in the first; empty in the others."""
    own = dict(_nodes(checkpoint))
    first = world.of_first(own)
    changed = list(_changed(checkpoint, own, first))
    gone = [path for path in first if path not in own and path[:-1] in own]
    found = world.collect(b"" if world.rank == 0 else _packed((changed, gone)))
    packed = {rank: torch.from_numpy(numpy.frombuffer(part, numpy.uint8).copy()) for rank, part in enumerate(found)}
    return {rank: part for rank, part in packed.items() if rank > 0}


def _nodes(value: Any, path: _Path = ()) -> Iterator[tuple[_Path, str | bytes]]:
    """Of a value and of all that is in its dicts and lists, however deep: the path, and `dict`, `list` or a digest. An
    empty dict or list has a digest."""
    items = _items(value)
    if items is None:
        yield path, _digest(value)
        return
    yield path, items[0]
    for key, each in items[1]:
        yield from _nodes(each, (*path, key))


def _changed(
    value: Any, own: Mapping[_Path, str | bytes], first: Mapping[_Path, str | bytes], path: _Path = ()
) -> Iterator[tuple[_Path, Any]]:
    """What the first process has not, or has otherwise: as a whole where it has no such dict or list."""
    if own[path] == first.get(path):
        items = _items(value)
        for key, each in items[1] if items is not None else ():
            yield from _changed(each, own, first, (*path, key))
    else:
        yield path, value


def _items(value: Any) -> tuple[str, Iterable[tuple[Any, Any]]] | None:
    if isinstance(value, dict) and value:
        return "dict", value.items()
    return ("list", enumerate(value)) if type(value) is list and value else None


def _holder(checkpoint: Any, path: _Path) -> Any:
    """The dict or list in which `path` ends."""
    for key in path[:-1]:
        checkpoint = checkpoint[key]
    return checkpoint


def _digest(value: Any) -> bytes:
    """Different for different values; of equal ones it may differ where they are no tensors."""
    digest = hashlib.sha256()
    if isinstance(value, torch.Tensor):
        digest.update(repr((type(value).__name__, value.dtype, tuple(value.shape))).encode())
        for part in tensor_bytes(value):
            digest.update(part)
    else:
        try:
            digest.update(pickle.dumps(value))
        except Exception:  # what only PyTorch can save
            digest.update(_packed(value))
    return digest.digest()


def _packed(value: Any) -> bytes:
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()
