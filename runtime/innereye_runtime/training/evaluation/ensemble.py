"""Several checkpoints as one model: the mean of what their models' `forward` returns, or the mean of their weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytorch_lightning as pl
import torch
from torch.utils._pytree import tree_flatten, tree_unflatten

from innereye_runtime.errors import DataError, UsageError
from innereye_runtime.training.checkpoints.weights import read_weights

AVERAGED: Final = "checkpoints/averaged.ckpt"
"""In the run folder: the checkpoint with the mean of the weights."""
_OF_TRAINING: Final = ("optimizer_states", "lr_schedulers", "callbacks", "loops")
"""The parts of a checkpoint that belong to one training."""
_BY_WEIGHTS: Final = "--ensemble_average=weights averages the weights"


@contextmanager
def averaged_outputs(model: pl.LightningModule, members: Sequence[Any], device: torch.device) -> Iterator[None]:
    """Has `model(...)` return the mean over `model` and `members` while the block lasts. A model's own
    `aggregate_ensemble_model_outputs` takes the place of the mean.

    Raises:
        UsageError: the outputs have no mean, or the block came to its end and did not call the model: what it
            measured is that of the first model alone.
    """
    own, calls, replaced = model.forward, 0, vars(model).get("forward")
    aggregate = getattr(model, "aggregate_ensemble_model_outputs", mean_of)
    for member in members:
        member.to(device).eval()

    def forward(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        return aggregate(each(*arguments, **named) for each in (own, *members))

    model.forward = forward  # type: ignore[method-assign]
    try:
        yield
    finally:
        del model.forward
        if replaced is not None:
            model.forward = replaced  # type: ignore[method-assign]
    if not calls:
        raise UsageError(
            f"{type(model).__name__} can't be evaluated as an ensemble: its test_step does not call its forward, whose "
            "outputs are averaged",
            hint=f"call self(...) in test_step; {_BY_WEIGHTS}",
        )


def mean_of(outputs: Iterator[Any]) -> Any:
    """The mean of tensors of floating point, or of equal nests of them (tuples, lists, dicts).

    Raises:
        UsageError: an output is something else.
    """
    flat = [tree_flatten(output) for output in outputs]
    if any(structure != flat[0][1] for _, structure in flat):
        raise UsageError("the models of the ensemble return outputs of different structure", hint=_BY_WEIGHTS)
    leaves = [_mean(parts) for parts in zip(*(parts for parts, _ in flat), strict=True)]
    return tree_unflatten(leaves, flat[0][1])


def _mean(parts: Sequence[Any]) -> Any:
    if not all(isinstance(part, torch.Tensor) and (part.is_floating_point() or part.is_complex()) for part in parts):
        kind = parts[0].dtype if isinstance(parts[0], torch.Tensor) else type(parts[0]).__name__
        raise UsageError(
            f"an ensemble averages what forward returns, and {kind} has no mean",
            hint=f"return logits or probabilities from forward; {_BY_WEIGHTS}",
        )
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total / len(parts)


def averaged_weights(checkpoints: Sequence[Path], run_folder: Path) -> Path:
    """A checkpoint in the run folder with the mean of the checkpoints' weights, computed in double precision. What has
    no mean (whole numbers, such as the number of batches of a batch norm) is that of the first one.

    Raises:
        DataError: they are of different models, or one of them is not a checkpoint.
    """
    content = read_weights(checkpoints[0])
    weights: dict[str, Any] = content["state_dict"]
    totals = {name: value.double() for name, value in weights.items() if _is_real(value)}
    for path in checkpoints[1:]:  # one at a time: each may be as large as the memory allows
        further = read_weights(path)["state_dict"]
        if _shapes(further) != _shapes(weights):
            raise DataError(
                f"{path} and {checkpoints[0]} are of different models",
                hint="an average is of checkpoints with the same names and shapes of weights",
            )
        for name in totals:
            totals[name] += further[name]
    mean = {name: (total / len(checkpoints)).to(weights[name].dtype) for name, total in totals.items()}
    kept = {name: value for name, value in content.items() if name not in _OF_TRAINING}
    path = run_folder / AVERAGED
    path.parent.mkdir(exist_ok=True)
    partial = path.with_name(f".{path.name}.tmp")
    torch.save({**kept, "state_dict": {**weights, **mean}}, partial)
    partial.replace(path)
    return path


def _is_real(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.is_floating_point()


def _shapes(weights: dict[str, Any]) -> dict[str, Any]:
    return {name: (value.shape, value.dtype) if _is_real(value) else None for name, value in weights.items()}
