"""What goes into a checkpoint and comes out of it: hooks of saving and loading, layers that are made late."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

from tests.conformance.base import Case, Tiny


class HooksOfSavingAndLoading(Case):
    stages = ("test",)

    class Module(Tiny):
        scale = 1.0

        def on_train_epoch_end(self) -> None:
            self.scale *= 0.9

        def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
            checkpoint["scale"] = self.scale

        def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
            self.scale = checkpoint["scale"]

        def loss(self, batch: Any) -> torch.Tensor:
            return self.scale * super().loss(batch)

    def module(self) -> pl.LightningModule:
        return self.Module()


class ExtraState(Case):
    """`get_extra_state` of a layer, and hooks of its state_dict."""

    stages = ("test",)

    class Layer(torch.nn.Linear):
        calls = 0

        def __init__(self) -> None:
            super().__init__(3, 1)
            self.register_buffer("seen", torch.zeros(()), persistent=False)
            self.register_state_dict_post_hook(
                lambda layer, state, prefix, _: state.update({f"{prefix}more": layer.seen})
            )
            self.register_load_state_dict_pre_hook(
                lambda layer, state, prefix, *_: layer.take(state.pop(f"{prefix}more"))
            )

        def take(self, seen: torch.Tensor) -> None:
            self.seen: torch.Tensor = seen.clone()

        def get_extra_state(self) -> dict[str, int]:
            return {"calls": self.calls}

        def set_extra_state(self, state: dict[str, int]) -> None:
            self.calls = state["calls"]

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if self.training:
                self.calls += 1
                self.seen = self.seen + 1
            return super().forward(x) * (1 + self.calls / 100) + self.seen / 100

    class Module(Tiny):
        def __init__(self) -> None:
            super().__init__()
            self.layer: Any = ExtraState.Layer()

    def module(self) -> pl.LightningModule:
        return self.Module()


class LayersMadeLate(Case):
    stages = ("test", "predict")

    class Module(Tiny):
        def __init__(self) -> None:
            super().__init__()
            self.layer: Any = None

        def configure_model(self) -> None:
            if self.layer is None:
                self.layer = torch.nn.Linear(3, 1)

        def predict_step(self, batch: Any, batch_idx: int) -> Any:
            return self(batch[0])

    def module(self) -> pl.LightningModule:
        return self.Module()


class LayersMadeInSetup(Case):
    stages = ("test", "predict")

    class Module(LayersMadeLate.Module):
        def configure_model(self) -> None:
            pass

        def setup(self, stage: str) -> None:
            if self.layer is None:
                self.layer = torch.nn.Linear(3, 1)

    def module(self) -> pl.LightningModule:
        return self.Module()


class NotStrict(Case):
    """A frozen backbone that is not saved."""

    stages = ("test",)

    class Module(Tiny):
        def __init__(self) -> None:
            super().__init__()
            self.strict_loading = False
            self.backbone = torch.nn.Linear(3, 3, bias=False)
            torch.nn.init.eye_(self.backbone.weight)
            self.backbone.requires_grad_(False)

        def forward(self, x: Any) -> Any:
            return self.layer(self.backbone(x))

        def state_dict(self, *args: Any, **kwargs: Any) -> Any:
            return {
                name: value for name, value in super().state_dict(*args, **kwargs).items() if "backbone" not in name
            }

    def module(self) -> pl.LightningModule:
        return self.Module()


class LazyLayers(Case):
    class Module(Tiny):
        def __init__(self) -> None:
            super().__init__()
            self.layer: Any = torch.nn.LazyLinear(1)
            self.layer(torch.zeros(1, 3))

    def module(self) -> pl.LightningModule:
        return self.Module()


class Buffers(Case):
    class Module(Tiny):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("mean", torch.zeros(3))
            self.register_buffer("count", torch.zeros((), dtype=torch.int64))

        def training_step(self, batch: Any, batch_idx: int) -> Any:
            mean: Any = self.mean
            count: Any = self.count
            mean.lerp_(batch[0].mean(0), 0.1)
            count.add_(1)
            return super().training_step((batch[0] - mean, batch[1]), batch_idx)

    def module(self) -> pl.LightningModule:
        return self.Module()


class FrozenInInit(Case):
    class Module(Tiny):
        def __init__(self) -> None:
            super().__init__()
            self.layer.bias.requires_grad_(False)

    def module(self) -> pl.LightningModule:
        return self.Module()


class BestIsHigh(Case):
    epochs = 4

    class Module(Tiny):
        def validation_step(self, batch: Any, batch_idx: int) -> Any:
            self.log("dice", (0.1, 0.7, 0.4, 0.6)[self.current_epoch])

    def module(self) -> pl.LightningModule:
        return self.Module()

    def callbacks(self) -> list[pl.Callback]:
        return [ModelCheckpoint(monitor="dice", mode="max", save_top_k=2, filename="{epoch}-{dice:.1f}")]

    def observed(self, trainer: pl.Trainer, model: Any) -> Any:
        return _kept(trainer)


class SavedBySteps(Case):
    def callbacks(self) -> list[pl.Callback]:
        return [ModelCheckpoint(every_n_train_steps=3, save_top_k=-1, filename="{step}")]

    def observed(self, trainer: pl.Trainer, model: Any) -> Any:
        return _kept(trainer)


class SavedLast(Case):
    def callbacks(self) -> list[pl.Callback]:
        return [ModelCheckpoint(monitor="val_loss", save_last=True, save_weights_only=True, every_n_epochs=2)]

    epochs = 4

    def observed(self, trainer: pl.Trainer, model: Any) -> Any:
        return [name for name in _kept(trainer)[1] if "last" not in name]


class SeveralModelCheckpoints(Case):
    def callbacks(self) -> list[pl.Callback]:
        kept = {"save_top_k": 1, "filename": "{epoch}"}
        return [
            ModelCheckpoint(monitor="val_loss", dirpath="low", **kept),
            ModelCheckpoint(monitor="train_loss", mode="max", dirpath="high", **kept),
        ]

    def observed(self, trainer: pl.Trainer, model: Any) -> Any:
        kept: Any = trainer.checkpoint_callbacks
        given = [each for each in kept if Path(each.dirpath).name in ("low", "high")]
        return [(Path(each.best_model_path).name, each.best_model_score) for each in given]


def _kept(trainer: pl.Trainer) -> tuple[Any, ...]:
    """The best of a ModelCheckpoint and its files."""
    kept: Any = trainer.checkpoint_callback
    files = sorted(path.name for path in Path(kept.dirpath).glob("*.ckpt") if path.stem not in ("best", "last"))
    score = kept.best_model_score
    return Path(kept.best_model_path).name, files, None if score is None else float(score), len(kept.best_k_models)
