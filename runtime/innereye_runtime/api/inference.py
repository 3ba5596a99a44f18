"""Inference that a model does itself, split by split: `InnerEyeInference`, and the splits."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


class ModelExecutionMode(Enum):
    """The splits of a dataset, in the order in which inference takes them."""

    TRAIN = "Train"
    VAL = "Val"
    TEST = "Test"


class InnerEyeInference:
    """Mixed into a LightningModule that does its own inference, in place of `test_step`. A model that overrides
    `test_step`, and not `inference_step`, is tested by `test_step`.

    After training the runtime calls, in eval mode, without gradients and on the model's device: `on_inference_start`;
    for each split `on_inference_epoch_start`, `inference_step` for each item, `on_inference_epoch_end`; and
    `on_inference_end`. The working directory is the run folder, so files written by their bare names are kept.
    """

    def on_inference_start(self) -> None:
        """Called once, before the first split."""

    def on_inference_epoch_start(self, dataset_split: ModelExecutionMode, is_ensemble_model: bool) -> None:
        """Called before each split. `is_ensemble_model`: the outputs are those of several models, aggregated."""

    def inference_step(self, batch: Any, batch_idx: int, model_output: Any) -> None:
        """Called with each item of the split's data loader and what the model's `forward` made of it."""

    def on_inference_epoch_end(self) -> None:
        """Called after each split."""

    def on_inference_end(self) -> None:
        """Called once, after the last split."""

    def aggregate_ensemble_model_outputs(self, model_outputs: Iterator[Tensor]) -> Tensor:
        """The mean of the outputs of several models for one item.

        Raises:
            ValueError: there are no outputs.
        """
        outputs = iter(model_outputs)
        total = next(outputs, None)
        if total is None:
            raise ValueError("there are no model outputs to aggregate")
        count = 1
        for output in outputs:
            total = total + output
            count += 1
        return total / count
