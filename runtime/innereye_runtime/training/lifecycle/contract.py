"""What a user's container gives, looked at where it is given: a mistake there is told by its method's name."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from inspect import signature
from pathlib import Path
from typing import Any, cast

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.utilities.model_helpers import is_overridden

from innereye_runtime.api.container import LightningContainer
from innereye_runtime.errors import DataError, InnerEyeError, UsageError
from innereye_runtime.introspection.discovery import Location
from innereye_runtime.run.paths import RunPaths

log = logging.getLogger("innereye_runtime")


def container_class(found: type, location: Location) -> type[LightningContainer]:
    """`found`, the class at `location`.

    Raises:
        UsageError: it is no container.
        InnerEyeError: its `__init__` asks for arguments.
    """
    name = location.class_name
    if not issubclass(found, LightningContainer):
        raise UsageError(
            f"{name} is not a LightningContainer: {location.file}:{location.line}",
            hint=f"name the container, or write class {name}(LightningContainer)",
        )
    try:
        signature(found).bind()
    except TypeError as error:
        raise InnerEyeError(
            f"{name}.__init__ can't be called without arguments: {error}",
            hint="make each argument a parameter of the class, as in num_layers = param.Integer(3)",
        ) from None
    return found


def require_model(container: LightningContainer) -> pl.LightningModule:
    """The model that the container creates; it is kept in the container.

    Raises:
        InnerEyeError: `create_model` is missing, or gives something else.
    """
    _require(container, "create_model")
    container.create_lightning_module_and_store()
    model: object = container._model  # `container.model` raises where it is None
    if isinstance(model, pl.LightningModule):
        return model
    hint = "derive the model from LightningModuleWithOptimizer, or from pytorch_lightning.LightningModule"
    raise _wrong(container, "create_model", model, "a LightningModule", hint)


def data_of(container: LightningContainer, model: pl.LightningModule) -> pl.LightningDataModule | None:
    """The data module that the container gives, for a full evaluation that of `get_eval_data_module`; None where the
    model has the loaders itself.

    Raises:
        InnerEyeError: the method is missing, or gives something else.
    """
    method = "get_eval_data_module" if container.eval_full else "get_data_module"
    _require(container, method)
    data: object = getattr(container, method)()
    loaders = ("test", "val", "predict", "train") if container._skips_training else ("train",)
    own_loaders = any(is_overridden(f"{name}_dataloader", model) for name in loaders)
    if isinstance(data, pl.LightningDataModule) or (data is None and own_loaders):
        return cast(pl.LightningDataModule, data)  # None: Lightning asks the model itself
    raise _wrong(container, method, data, "a LightningDataModule", "wrap the data in one")


def callbacks_of(container: LightningContainer) -> list[Callback]:
    """The callbacks that the container gives.

    Raises:
        InnerEyeError: one of them is none.
    """
    given: object = container.get_callbacks()
    return _callbacks(container, "get_callbacks", given)


def trainer_arguments_of(container: LightningContainer) -> dict[str, Any]:
    """The trainer arguments that the container gives; `callbacks` is a list.

    Raises:
        InnerEyeError: they are no dict, or one of the callbacks is none.
    """
    given: object = container.get_trainer_arguments()
    if given is not None and not isinstance(given, Mapping):
        hint = "name each argument, as in return {'gradient_clip_val': 1}"
        raise _wrong(container, "get_trainer_arguments", given, "a dict", hint)
    arguments = dict(given or {})
    return arguments | {"callbacks": _callbacks(container, "get_trainer_arguments", arguments.get("callbacks"))}


def _callbacks(container: LightningContainer, method: str, given: object) -> list[Callback]:
    callbacks: list[Callback] = []
    for each in () if given is None else given if isinstance(given, Iterable) else (given,):
        if not isinstance(each, Callback):
            raise _wrong(container, method, each, "a Callback", "derive it from pytorch_lightning.Callback")
        callbacks.append(each)
    return callbacks


class RequireTrainingBatches(Callback):
    """Ends a run whose training data is empty: Lightning would train nothing, and call that complete."""

    def __init__(self, container: LightningContainer) -> None:
        self._container = container
        self._epochs = 0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._epochs += 1

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Raises DataError where not even the first epoch had a batch: an iterable of unknown length gave none."""
        if trainer.fit_loop.epoch_loop.batch_progress.total.ready == 0:
            raise self._nothing()

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Raises DataError where there was no batch to train on, and none was not what the trainer was asked for."""
        if trainer.num_training_batches == 0 and trainer.limit_train_batches != 0:
            raise self._nothing()
        # Of a restart of this run, which may have nothing but the evaluation left to do.
        own = RunPaths(Path(trainer.default_root_dir)).checkpoints
        if not self._epochs and trainer.ckpt_path and Path(trainer.ckpt_path).parent != own:
            log.warning(
                "warning: nothing was trained: %s is from the end of epoch %d, and num_epochs is %s; "
                "set a higher num_epochs to resume its training",
                trainer.ckpt_path,
                trainer.current_epoch,
                trainer.max_epochs,
            )

    def _nothing(self) -> DataError:
        place = f" (the dataset is {self._container.local_dataset})" if self._container.local_dataset else ""
        return DataError(
            f"{type(self._container).__name__}: the training data has no batch{place}",
            hint="check that the files were found; drop_last=True drops a split of less than one batch",
        )


def _require(container: LightningContainer, method: str) -> None:
    if getattr(type(container), method) is getattr(LightningContainer, method):
        name = type(container).__name__
        raise InnerEyeError(f"{name} has no {method}", hint=f"write 'def {method}(self):' in {name}")


def _wrong(container: LightningContainer, method: str, given: object, wanted: str, hint: str) -> InnerEyeError:
    what = f"a {type(given).__name__}"
    if given is None:
        what, hint = "nothing", "end it with 'return' and what it made"
    elif isinstance(given, type):
        what, hint = f"the class {given.__name__}", f"call the class: return {given.__name__}(...)"
    return InnerEyeError(f"{type(container).__name__}.{method}() returned {what}, not {wanted}", hint=hint)
