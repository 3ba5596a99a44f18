"""After training: inference over the splits by `InnerEyeInference`, else `Trainer.test`, then `Trainer.predict`: all of
it with the best checkpoint.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.utilities.model_helpers import is_overridden

from innereye_runtime.api.container import LightningContainer
from innereye_runtime.api.inference import InnerEyeInference, ModelExecutionMode
from innereye_runtime.errors import DataError
from innereye_runtime.training.checkpoints.given_checkpoints import read_given_checkpoints
from innereye_runtime.training.evaluation.ensemble import averaged_outputs, averaged_weights
from innereye_runtime.training.evaluation.inference_loop import Inference, infer, load_members
from innereye_runtime.training.evaluation.one_process import one_process
from innereye_runtime.training.evaluation.predictions import Predictions
from innereye_runtime.training.lifecycle.seeding import seed_phase
from innereye_runtime.training.lightning.extra_validation import extra_validation
from innereye_runtime.training.lightning.metrics import split_metrics
from innereye_runtime.training.lightning.trainer import SMOKE_BATCHES

log = logging.getLogger("innereye_runtime")

_INFERENCE_HOOKS = (
    "on_inference_start",
    "on_inference_epoch_start",
    "on_inference_epoch_end",
    "on_inference_end",
)
_LOADERS = {
    ModelExecutionMode.TRAIN: "train_dataloader",
    ModelExecutionMode.VAL: "val_dataloader",
    ModelExecutionMode.TEST: "test_dataloader",
}

Data = pl.LightningDataModule | None
"""None: the loaders are the model's own."""


def evaluate(
    container: LightningContainer,
    data: Data,
    trainer: pl.Trainer,
    checkpoints: Sequence[Path],
    *,
    seed: int,
    smoke: bool,
) -> dict[str, float | None]:
    """The test metrics of `Trainer.test`, by name; empty where the model does its own inference, or has none at all.

    `data` is what the model was trained on. Lightning loads `checkpoints`: none leaves the weights as they are, and
    several make an ensemble. All ranks call this; the first one alone evaluates, over every sample once, and the others
    return when it has.

    Raises:
        UsageError: several checkpoints are given for a model whose outputs can't be averaged.
        DataError: a loader gives no batch, or a checkpoint is none.
    """
    with one_process(trainer) as chosen:
        if not chosen:
            return {}
        read_given_checkpoints(trainer)
        data = extra_validation(container, trainer, data, checkpoints)
        own = type(container).get_inference_data_module is not LightningContainer.get_inference_data_module
        if own and not container.eval_full:
            data = container.get_inference_data_module()
        return _evaluate(container, data, trainer, checkpoints, seed=seed, smoke=smoke)


def _evaluate(
    container: LightningContainer,
    data: Data,
    trainer: pl.Trainer,
    checkpoints: Sequence[Path],
    *,
    seed: int,
    smoke: bool,
) -> dict[str, float | None]:
    model = container.model
    infers = does_own_inference(model)
    tests = not infers and _has(model, data, "test_step", "test_dataloader")
    predicts = container.predict and _has(model, data, "predict_step", "predict_dataloader")
    if not (infers or tests or predicts):
        log.warning("warning: no evaluation: %s", _why_none(model, data))
        return {}
    ensemble = len(checkpoints) > 1
    if ensemble and container.ensemble_average == "weights":
        checkpoints = [averaged_weights(checkpoints, Path(trainer.default_root_dir))]
    first = checkpoints[0] if checkpoints else None
    metrics: dict[str, float | None] = {}
    # What `setup` draws is that of a run which was broken after training, too.
    seed_phase(seed, "inference")
    if infers:
        limit = SMOKE_BATCHES if smoke else None
        _infer(container, data, trainer, checkpoints, ensemble=ensemble, seed=seed, limit=limit)
    elif tests and len(checkpoints) > 1:
        members = [(container.create_model(), path) for path in checkpoints[1:]]
        load_members(trainer, members, data, seed=seed)
        with averaged_outputs(model, [member for member, _ in members], trainer.strategy.root_device):
            metrics = _test(model, data, trainer, first, seed)
    elif tests:
        metrics = _test(model, data, trainer, first, seed)
    # What one fold predicts, the other members of an ensemble may have been trained on.
    if predicts and not ensemble:
        _predict(model, data, trainer, first, seed)
    return metrics


def does_own_inference(model: pl.LightningModule) -> bool:
    """True for an `InnerEyeInference` that says what to do with outputs; one that only inherits it may have a
    `test_step`."""
    if not isinstance(model, InnerEyeInference):
        return False
    if _overrides(model, "inference_step"):
        return True
    return not is_overridden("test_step", model) and any(_overrides(model, hook) for hook in _INFERENCE_HOOKS)


def _overrides(model: InnerEyeInference, hook: str) -> bool:
    return getattr(type(model), hook) is not getattr(InnerEyeInference, hook)


def _why_none(model: pl.LightningModule, data: Data) -> str:
    name = type(model).__name__
    if is_overridden("test_step", model):
        return f"{type(data or model).__name__} has no test_dataloader"
    if is_overridden("predict_step", model):
        return f"{name} has no test_step, and its predict_step is not called: predict is off, or no predict_dataloader"
    if isinstance(model, InnerEyeInference):
        return f"{name} has neither an inference_step of its own nor a test_step"
    return f"{name} has neither a test_step nor InnerEyeInference"


def _has(model: pl.LightningModule, data: Data, step: str, loader: str) -> bool:
    return bool(is_overridden(step, model)) and _has_loader(data or model, loader)


def _has_loader(owner: pl.LightningDataModule | pl.LightningModule, loader: str) -> bool:
    return bool(is_overridden(loader, owner))


def _infer(
    container: LightningContainer,
    data: Data,
    trainer: pl.Trainer,
    checkpoints: Sequence[Path],
    *,
    ensemble: bool,
    seed: int,
    limit: int | None,
) -> None:
    model = container.model
    splits = [
        split
        for split, wanted in _wanted(container, ensemble=ensemble).items()
        if wanted and _has_loader(data or model, _LOADERS[split])
    ]
    inference = Inference(
        splits=splits,
        forward=container.inference_forward,
        seed=seed,
        limit=limit,
        members=[(container.create_model(), path) for path in checkpoints[1:]],
        is_ensemble=ensemble,
    )
    batches = infer(trainer, model, data, checkpoints[0] if checkpoints else None, inference)
    if splits and not batches:
        raise _no_batch(" and ".join(_LOADERS[split] for split in splits))


def _wanted(container: LightningContainer, *, ensemble: bool) -> dict[ModelExecutionMode, bool]:
    """Whether inference on each split is wanted, in the order of inference."""
    if ensemble:
        train, val = container.ensemble_inference_on_train_set, container.ensemble_inference_on_val_set
        wanted = (train is True, val is True, container.ensemble_inference_on_test_set is not False)
    else:
        given = (container.inference_on_train_set, container.inference_on_val_set, container.inference_on_test_set)
        wanted = (given[0] is not False, given[1] is not False, given[2] is not False)
    return dict(zip(ModelExecutionMode, wanted, strict=True))


def _test(
    model: pl.LightningModule, data: Data, trainer: pl.Trainer, checkpoint: Path | None, seed: int
) -> dict[str, float | None]:
    _seed_run_of(trainer.test_loop, seed)
    results = trainer.test(model, datamodule=data, ckpt_path=_text(checkpoint), verbose=False, weights_only=False)
    loop = trainer.test_loop
    loaders = loop._combined_loader.flattened if loop._combined_loader is not None else []
    if loaders and trainer.limit_test_batches != 0 and not loop.batch_progress.current.ready:
        raise _no_batch("test_dataloader")
    metrics = {name: float(value) for result in results for name, value in result.items()}
    return {name: value for split in split_metrics(metrics).values() for name, value in split.items()}


def _predict(model: pl.LightningModule, data: Data, trainer: pl.Trainer, checkpoint: Path | None, seed: int) -> None:
    _seed_run_of(trainer.predict_loop, seed)
    with Predictions(Path(trainer.default_root_dir)).written_by(trainer) as predictions:
        trainer.predict(
            model,
            datamodule=data,
            ckpt_path=_text(checkpoint),
            return_predictions=False,
            weights_only=False,
        )
    if not predictions.batches and trainer.limit_predict_batches != 0:
        raise _no_batch("predict_dataloader")


def _seed_run_of(loop: Any, seed: int) -> None:
    """Has the loop's run begin with the numbers of this phase, whatever `setup` and `configure_model` drew."""
    own: Callable[[], Any] = type(loop).run.__get__(loop)

    def run() -> Any:
        seed_phase(seed, "inference")
        return own()

    loop.run = run


def _text(checkpoint: Path | None) -> str | None:
    return None if checkpoint is None else str(checkpoint)


def _no_batch(loaders: str) -> DataError:
    return DataError(f"{loaders} gave no batch: nothing was evaluated", hint="look for files that were not found")
