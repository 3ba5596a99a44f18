"""Hooks that only Lightning 1 called, on the installed Lightning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, EarlyStopping
from tests.training.models import Model, NoisyData

from innereye_runtime.training.lightning1 import adapt, adapt_callback

pytestmark = pytest.mark.filterwarnings("ignore")  # Lightning's remarks on workers and logging intervals


class Old(Model):
    """A model with every hook that Lightning 2 dropped or changed; it notes who was called with what."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Any] = []

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        return self.loss(batch)

    def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> dict[str, torch.Tensor]:
        return {"loss": self.loss(batch)}

    def training_epoch_end(self, outputs: list[dict[str, torch.Tensor]]) -> None:
        assert all(not output["loss"].requires_grad for output in outputs)
        self.calls.append(("training_epoch_end", len(outputs)))
        self.log("train/mean", torch.stack([output["loss"] for output in outputs]).mean())

    def validation_epoch_end(self, outputs: Any) -> None:
        self.calls.append(("validation_epoch_end", [len(output) for output in outputs]))

    def test_step(self, batch: Any, batch_idx: int) -> float:
        return float(batch_idx)

    def test_epoch_end(self, outputs: list[float]) -> None:
        self.calls.append(("test_epoch_end", outputs))

    def on_train_epoch_end(self, outputs: Any) -> None:
        self.calls.append(("on_train_epoch_end", len(outputs)))

    def on_epoch_start(self) -> None:
        self.calls.append("on_epoch_start")

    def on_epoch_end(self) -> None:
        self.calls.append("on_epoch_end")

    def on_train_batch_start(self, batch: Any, batch_idx: int, dataloader_idx: int) -> None:
        assert dataloader_idx == 0

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int) -> None:
        self.calls.append(("batch", batch_idx, dataloader_idx))


class TwoLoaders(NoisyData):
    def val_dataloader(self) -> Any:
        return [super().val_dataloader(), super().val_dataloader()]


def trainer(folder: Path) -> pl.Trainer:
    return pl.Trainer(
        accelerator="cpu",
        max_epochs=1,
        default_root_dir=str(folder),
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )


def test_lightning_itself_refuses_such_a_model(tmp_path: Path) -> None:
    with pytest.raises(NotImplementedError, match="has been removed"):
        trainer(tmp_path).fit(Old(), datamodule=TwoLoaders())


def test_the_old_hooks_are_called_in_their_old_order(tmp_path: Path) -> None:
    model = adapt(Old())
    assert isinstance(model, Old)
    assert type(model).__name__ == "Old"
    run = trainer(tmp_path)
    run.fit(model, datamodule=TwoLoaders())
    assert [call for call in model.calls if call[0] != "batch"] == [
        "on_epoch_start",
        "on_epoch_start",  # of validation, which runs inside the epoch of training
        ("validation_epoch_end", [2, 2]),
        "on_epoch_end",
        ("training_epoch_end", 5),
        ("on_train_epoch_end", 5),
        "on_epoch_end",
    ]
    assert [call for call in model.calls if call[0] == "batch"] == [("batch", index, 0) for index in range(5)]
    assert "train/mean" in run.callback_metrics
    model.calls.clear()
    run.test(model, datamodule=TwoLoaders(), verbose=False)
    assert model.calls == ["on_epoch_start", ("test_epoch_end", [0.0, 1.0]), "on_epoch_end"]


def test_a_model_and_a_callback_of_today_are_left_as_they_are() -> None:
    model = Model()
    assert type(adapt(model)) is Model
    callback = EarlyStopping("val/loss")
    assert type(adapt_callback(callback)) is EarlyStopping


class OldCallback(Callback):
    def __init__(self) -> None:
        self.calls: list[str] = []

    def on_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        self.calls.append("on_epoch_start")

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        self.calls.append("on_train_epoch_start")

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int
    ) -> None:
        self.calls.append(f"batch {batch_idx} {dataloader_idx}")


def test_the_old_hooks_of_a_callback_are_called_too(tmp_path: Path) -> None:
    callback = OldCallback()
    run = trainer(tmp_path)
    run.callbacks.append(adapt_callback(callback))  # type: ignore[attr-defined]
    run.fit(Model(), datamodule=NoisyData())
    assert callback.calls == [
        "on_epoch_start",
        "on_train_epoch_start",
        *(f"batch {index} 0" for index in range(5)),
        "on_epoch_start",  # of validation
    ]
    assert callback.state_key == "OldCallback"


class Stepping(Model):
    def __init__(self) -> None:
        super().__init__(scheduler="epoch")
        self.numbers: list[int] = []

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        return {"batch": batch}

    def training_step_end(self, output: dict[str, Any]) -> torch.Tensor:
        return self.loss(output["batch"])

    def optimizer_step(  # type: ignore[override]
        self, epoch: int, batch_idx: int, optimizer: Any, optimizer_idx: int, optimizer_closure: Any, on_tpu: bool
    ) -> None:
        assert (optimizer_idx, on_tpu) == (0, False)
        self.rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step(closure=optimizer_closure)

    def on_before_optimizer_step(self, optimizer: Any, optimizer_idx: int) -> None:  # type: ignore[override]
        self.numbers.append(optimizer_idx)

    def optimizer_zero_grad(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_idx: int) -> None:  # type: ignore[override]
        self.numbers.append(optimizer_idx)
        optimizer.zero_grad()

    def configure_gradient_clipping(  # type: ignore[override]
        self, optimizer: Any, optimizer_idx: int, gradient_clip_val: Any, gradient_clip_algorithm: Any
    ) -> None:
        assert gradient_clip_val is None
        self.numbers.append(optimizer_idx)

    def lr_scheduler_step(self, scheduler: Any, optimizer_idx: int, metric: Any) -> None:  # type: ignore[override]
        self.numbers.append(optimizer_idx)
        scheduler.step()


def test_a_step_has_its_end_and_an_optimizer_its_number(tmp_path: Path) -> None:
    model = Stepping()
    before = [weight.clone() for weight in model.parameters()]
    run = trainer(tmp_path)
    run.fit(adapt(model), datamodule=NoisyData())
    assert run.global_step == 5
    assert model.numbers == [0] * (3 * 5 + 1)
    assert len(model.rates) == 1 + 5  # one at the start of the epoch, one for each step
    assert not any(torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))
