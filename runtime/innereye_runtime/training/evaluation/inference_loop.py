"""Inference by `InnerEyeInference` as a loop of Lightning's, whose trainer looks after data, devices and weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytorch_lightning as pl
from pytorch_lightning.loops.fetchers import _PrefetchDataFetcher
from pytorch_lightning.loops.prediction_loop import _PredictionLoop
from pytorch_lightning.loops.utilities import _no_grad_context
from pytorch_lightning.trainer import call
from pytorch_lightning.trainer.connectors.data_connector import (
    _check_dataloader_iterable,
    _process_dataloader,
    _request_dataloader,
)
from pytorch_lightning.trainer.states import RunningStage, TrainerFn
from pytorch_lightning.utilities.combined_loader import CombinedLoader

from innereye_runtime.api.inference import ModelExecutionMode
from innereye_runtime.training.lifecycle.seeding import seed_phase

_STAGES: Final = {
    ModelExecutionMode.TRAIN: (TrainerFn.FITTING, RunningStage.TRAINING),
    ModelExecutionMode.VAL: (TrainerFn.FITTING, RunningStage.VALIDATING),
    ModelExecutionMode.TEST: (TrainerFn.TESTING, RunningStage.TESTING),
}
"""The stage that a split's data is set up for, and the stage whose loader it is."""
_FORWARD_HINTS: Final = {
    "item": "forward gets the data loader's whole item; --inference_forward=first gives it the item's first element",
    "first": "forward gets the first element of the data loader's item; --inference_forward=item gives it all of it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Inference:
    """What to infer, and how."""

    splits: Sequence[ModelExecutionMode]
    forward: str
    """What the model's forward is given: the loader's whole `item`, or its `first` element."""
    seed: int
    limit: int | None
    """Batches of each data loader; None: all."""
    members: Sequence[tuple[pl.LightningModule, Path]] = ()
    """The models of an ensemble beside the first, each with its checkpoint."""
    is_ensemble: bool = False
    """Whether the model stands for several, be it by their outputs or by the mean of their weights."""


def infer(
    trainer: pl.Trainer,
    model: Any,
    data: pl.LightningDataModule | None,
    checkpoint: Path | None,
    inference: Inference,
) -> int:
    """Calls the hooks of `model` over the splits, and returns the number of batches.

    One run of the trainer for each stage that the splits are of, each with `setup`, `configure_model`, the weights of
    `checkpoint` and `teardown`, in this order; one before them for each further model of an ensemble.
    """
    splits = inference.splits
    # Without any split the hooks before and after all of them are called nevertheless.
    stages = list(dict.fromkeys(_STAGES[split][0] for split in splits)) or [TrainerFn.TESTING]
    prepared = _load(trainer, inference, data, stages[0])  # `prepare_data` is called once for all of it
    batches = 0
    for stage in stages:
        loop = _InferenceLoop(trainer, inference, [split for split in splits if _STAGES[split][0] == stage])
        loop.is_first, loop.is_last = stage == stages[0], stage == stages[-1]
        _run(trainer, loop, model, data, checkpoint, stage, prepared=prepared)
        prepared = True
        batches += loop.batches
    return batches


def load_members(
    trainer: pl.Trainer,
    members: Sequence[tuple[pl.LightningModule, Path]],
    data: pl.LightningDataModule | None,
    *,
    seed: int,
) -> None:
    """Gives each model the weights of its checkpoint, by the trainer and as for a test."""
    inference = Inference(splits=(), forward="item", seed=seed, limit=None, members=members)
    _load(trainer, inference, data, TrainerFn.TESTING)


def _load(trainer: pl.Trainer, inference: Inference, data: pl.LightningDataModule | None, stage: TrainerFn) -> bool:
    """Loads the members of an ensemble, and returns whether there is any."""
    prepared = False
    for member, path in inference.members:
        _run(trainer, _InferenceLoop(trainer, inference, ()), member, data, path, stage, prepared=prepared)
        prepared = True
    return prepared


def _run(
    trainer: pl.Trainer,
    loop: _InferenceLoop,
    model: Any,
    data: pl.LightningDataModule | None,
    checkpoint: Path | None,
    stage: TrainerFn,
    *,
    prepared: bool,
) -> None:
    lightnings, trainer.predict_loop = trainer.predict_loop, loop
    try:
        with _set_up_for(stage, [model] if data is None else [model, data], prepared=prepared):
            trainer.predict(
                model,
                datamodule=data,
                ckpt_path=None if checkpoint is None else str(checkpoint),
                return_predictions=False,
                weights_only=False,
            )
    finally:
        trainer.predict_loop = lightnings


@contextmanager
def _set_up_for(stage: TrainerFn, modules: Sequence[Any], *, prepared: bool) -> Iterator[None]:
    """Has the modules' `setup` and `teardown` called for `stage`, and not for the one that the trainer runs in.

    Where all is `prepared`, their `prepare_data` is not called again.
    """
    replaced: list[tuple[dict[str, Any], str, Any]] = []
    for module in modules:
        for hook in ("setup", "teardown"):
            replaced.append((vars(module), hook, partial(_for_stage, getattr(module, hook), stage)))
        if prepared:
            replaced.append((vars(module), "prepare_data", lambda: None))
    own = [(attributes, hook, attributes[hook]) for attributes, hook, _ in replaced if hook in attributes]
    for attributes, hook, value in replaced:
        attributes[hook] = value
    try:
        yield
    finally:
        for attributes, hook, _ in replaced:
            attributes.pop(hook, None)
        for attributes, hook, value in own:
            attributes[hook] = value


def _for_stage(hook: Any, wanted: TrainerFn, stage: str | None = None) -> Any:
    return hook(stage=wanted)


class _InferenceLoop(_PredictionLoop):
    """Lightning's predict loop, with the hooks of `InnerEyeInference` in place of its own."""

    def __init__(self, trainer: pl.Trainer, inference: Inference, splits: Sequence[ModelExecutionMode]) -> None:
        super().__init__(trainer, inference_mode=False)
        self.batches = 0
        self.is_first = False
        self.is_last = False
        self._inference = inference
        self._splits = splits

    @_no_grad_context
    def run(self) -> None:
        """Goes over the splits in eval mode, without gradients."""
        model: Any = self.trainer.lightning_module
        for member in self._ensemble(model):
            member.to(self.trainer.strategy.root_device).eval()
        if self.is_first:
            model.on_inference_start()
        for split in self._splits:
            # A restarted run, or one that leaves a split out, draws the same numbers.
            seed_phase(self._inference.seed, f"inference {split.value}")
            model.on_inference_epoch_start(split, self._inference.is_ensemble)
            self._run_split(model, split)
            model.on_inference_epoch_end()
        if self.is_last:
            model.on_inference_end()

    def _run_split(self, model: Any, split: ModelExecutionMode) -> None:
        self._combined_loader = self._loader(_STAGES[split][1])
        self._data_fetcher = fetcher = _PrefetchDataFetcher()
        fetcher.setup(self._combined_loader)
        for index, (batch, _, loader) in enumerate(fetcher):
            batch = self.trainer.precision_plugin.convert_input(batch)
            batch = model._on_before_batch_transfer(batch, dataloader_idx=loader)
            batch = call._call_strategy_hook(self.trainer, "batch_to_device", batch, dataloader_idx=loader)
            model.inference_step(batch, index, self._output(model, batch))
            self.batches += 1
        self.teardown()

    def _loader(self, stage: RunningStage) -> CombinedLoader:
        """The loader of a split; of several, in whatever nest of lists and dicts, one after another."""
        self._data_source.name = f"{stage.dataloader_prefix}_dataloader"
        given = _request_dataloader(self._data_source)
        combined = given if isinstance(given, CombinedLoader) else CombinedLoader(given, "sequential")
        for each in combined.flattened:
            _check_dataloader_iterable(each, self._data_source, TrainerFn.TESTING)
        combined.flattened = [
            _process_dataloader(self.trainer, TrainerFn.TESTING, stage, each) for each in combined.flattened
        ]
        if self._inference.limit is not None:
            combined.limits = [self._inference.limit] * len(combined.flattened)
        return combined

    def _output(self, model: Any, batch: Any) -> Any:
        item = batch[0] if self._inference.forward == "first" else batch
        outputs = (self._forward(member, item) for member in self._ensemble(model))
        return model.aggregate_ensemble_model_outputs(outputs) if self._inference.members else next(outputs)

    def _ensemble(self, model: Any) -> list[Any]:
        return [model, *(member for member, _ in self._inference.members)]

    def _forward(self, member: Any, item: Any) -> Any:
        try:
            with self.trainer.precision_plugin.predict_step_context():
                return member(item)
        except (TypeError, AttributeError) as error:
            error.add_note(f"hint: {_FORWARD_HINTS[self._inference.forward]}")
            raise
