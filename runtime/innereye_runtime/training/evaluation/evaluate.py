"""After training: inference over the splits by `InnerEyeInference`, else `Trainer.test`, with the best checkpoint."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.model_helpers import is_overridden

from innereye_runtime.api.container import LightningContainer
from innereye_runtime.api.inference import InnerEyeInference, ModelExecutionMode
from innereye_runtime.errors import UsageError
from innereye_runtime.training.checkpoints.weights import load_into, read_weights
from innereye_runtime.training.lifecycle.seeding import seed_phase
from innereye_runtime.training.lightning.metrics import split_metrics
from innereye_runtime.training.lightning.trainer import SMOKE_BATCHES

if TYPE_CHECKING:
    from collections.abc import Iterable

log = logging.getLogger("innereye_runtime")


def evaluate(
    container: LightningContainer,
    data: pl.LightningDataModule,
    trainer: pl.Trainer,
    checkpoints: Sequence[Path],
    *,
    seed: int,
    smoke: bool,
) -> dict[str, float | None]:
    """The test metrics of `Trainer.test`, by name; empty where the model does its own inference, or has none at all.

    `data` is what the model was trained on. `checkpoints` are loaded first: none leaves the weights as they are, and
    several make an ensemble. All ranks call this; inference by `InnerEyeInference` is done by the first one alone,
    since its hooks see the whole of a split.

    Raises:
        UsageError: several checkpoints are given for a model that can't aggregate outputs.
    """
    model = container.model
    if _has_inference_data(container):
        data = container.get_inference_data_module()
    own_inference = isinstance(model, InnerEyeInference)
    if not own_inference and not is_overridden("test_step", model):
        log.info("%s has neither a test_step nor InnerEyeInference: no evaluation", type(model).__name__)
        return {}
    if not own_inference and not _has_loader(data, "test_dataloader"):
        log.info("%s has no test_dataloader: no evaluation", type(data).__name__)
        return {}
    if len(checkpoints) > 1 and not own_inference:
        raise UsageError(
            f"{len(checkpoints)} checkpoints are given, and {type(model).__name__} has no InnerEyeInference",
            hint="name one checkpoint: an ensemble needs aggregate_ensemble_model_outputs",
        )
    if checkpoints:
        load_into(model, read_weights(checkpoints[0]))
    if own_inference and not trainer.is_global_zero:
        return {}
    if data is not getattr(trainer, "datamodule", None):
        data.prepare_data()
        data.setup("fit")
    # A run that was broken after training gets here without having trained, and draws the same numbers from now on.
    seed_phase(seed, "inference")
    if own_inference:
        data.setup("test")
        ensemble = [model, *(_member(container, path) for path in checkpoints[1:])]
        _infer(container, ensemble, data, trainer.strategy.root_device, batches=SMOKE_BATCHES if smoke else None)
        return {}
    results = trainer.test(model, datamodule=data, verbose=False)
    metrics = {name: float(value) for result in results for name, value in result.items()}
    return {name: value for split in split_metrics(metrics).values() for name, value in split.items()}


def _infer(
    container: LightningContainer,
    ensemble: Sequence[pl.LightningModule],
    data: pl.LightningDataModule,
    device: torch.device,
    *,
    batches: int | None,
) -> None:
    """Calls the hooks of the ensemble's first member over Train, Val and Test: in eval mode, without gradients."""
    model: Any = ensemble[0]
    for member in ensemble:
        member.to(device).eval()
    several = len(ensemble) > 1
    with torch.no_grad():
        model.on_inference_start()
        for split, wanted, loader in _splits(container, several):
            if not wanted or not _has_loader(data, loader):
                continue
            model.on_inference_epoch_start(split, several)
            for index, batch in enumerate(_batches(getattr(data, loader)(), batches)):
                batch = data.transfer_batch_to_device(batch, device, 0)
                item = batch[0] if container.inference_forward == "first" else batch
                outputs = (member(item) for member in ensemble)
                output = model.aggregate_ensemble_model_outputs(outputs) if several else next(outputs)
                model.inference_step(batch, index, output)
            model.on_inference_epoch_end()
        model.on_inference_end()


def _splits(container: LightningContainer, ensemble: bool) -> tuple[tuple[ModelExecutionMode, bool, str], ...]:
    """Each split, whether inference on it is wanted, and the name of its data loader, in the order of inference."""
    if ensemble:
        train, val = container.ensemble_inference_on_train_set, container.ensemble_inference_on_val_set
        wanted = (train is True, val is True, container.ensemble_inference_on_test_set is not False)
    else:
        given = (container.inference_on_train_set, container.inference_on_val_set, container.inference_on_test_set)
        wanted = (given[0] is not False, given[1] is not False, given[2] is not False)
    loaders = ("train_dataloader", "val_dataloader", "test_dataloader")
    return tuple(zip(ModelExecutionMode, wanted, loaders, strict=True))


def _member(container: LightningContainer, checkpoint: Path) -> pl.LightningModule:
    model = container.create_model()
    load_into(model, read_weights(checkpoint))
    return model


def _has_inference_data(container: LightningContainer) -> bool:
    """True where the container says which data to use; the default, the data of training, is there already."""
    return any(
        getattr(type(container), name) is not getattr(LightningContainer, name)
        for name in ("get_inference_data_module", "get_eval_data_module")
    )


def _has_loader(data: pl.LightningDataModule, name: str) -> bool:
    return is_overridden(name, data, pl.LightningDataModule)


def _batches(loaders: Iterable[Any], limit: int | None) -> Iterator[Any]:
    """The batches of a loader, or of several one after another; at most `limit` of them."""
    several = isinstance(loaders, list | tuple)
    return islice(chain.from_iterable(loaders) if several else iter(loaders), limit)
