"""Hooks that only Lightning 1 called, on the installed Lightning."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, EarlyStopping
from tests.training.models import Model, NoisyData

from innereye_runtime.compat import lightning1_imports
from innereye_runtime.compat.lightning1_hooks import ReturnedLog, adapt_callback, adapt_module
from innereye_runtime.compat.trainer_args import container_arguments

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
    model = adapt_module(Old())
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
    assert type(adapt_module(model)) is Model
    callback = EarlyStopping("val/loss")
    assert type(adapt_callback(callback)) is EarlyStopping


class OldCallback(Callback):
    def __init__(self) -> None:
        self.calls: list[str] = []

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        self.calls.append("on_fit_start")

    def on_pretrain_routine_start(self, trainer: Any, pl_module: Any) -> None:
        self.calls.append("on_pretrain_routine_start")

    def on_pretrain_routine_end(self, trainer: Any, pl_module: Any) -> None:
        self.calls.append("on_pretrain_routine_end")

    def on_batch_start(self, trainer: Any, pl_module: Any) -> None:
        self.calls.append("on_batch_start")

    def on_batch_end(self, trainer: Any, pl_module: Any) -> None:
        self.calls.append("on_batch_end")

    def on_validation_batch_start(
        self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int, dataloader_idx: int
    ) -> None:
        self.calls.append(f"validation batch {batch_idx} {dataloader_idx}")

    def on_test_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int
    ) -> None:
        self.calls.append(f"test batch {batch_idx} {dataloader_idx}")

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
        "on_fit_start",
        "on_pretrain_routine_start",
        "on_pretrain_routine_end",
        "on_epoch_start",
        "on_train_epoch_start",
        *(call for index in range(5) for call in ("on_batch_start", f"batch {index} 0", "on_batch_end")),
        "on_epoch_start",  # of validation
        "validation batch 0 0",
        "validation batch 1 0",
    ]
    assert callback.state_key == "OldCallback"
    callback.calls.clear()
    run.test(Model(), datamodule=NoisyData(), verbose=False)
    assert callback.calls == ["on_epoch_start", "test batch 0 0", "test batch 1 0"]


def test_the_number_of_a_data_loader_is_its_own(tmp_path: Path) -> None:
    class Numbers(Callback):
        def __init__(self) -> None:
            self.numbers: list[int] = []

        def on_validation_batch_end(
            self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int
        ) -> None:
            self.numbers.append(dataloader_idx)

    class Quiet(Model):
        def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int) -> None:
            pass

    callback = Numbers()
    run = trainer(tmp_path)
    run.callbacks.append(adapt_callback(callback))  # type: ignore[attr-defined]
    run.fit(adapt_module(Quiet()), datamodule=TwoLoaders())
    assert callback.numbers == [0, 0, 1, 1]


class Shared(Model):
    """Validates by its step of training, as many do."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: list[tuple[str, int]] = []

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        return self.loss(batch)

    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        return self.training_step(batch, batch_idx)

    def test_step(self, batch: Any, batch_idx: int) -> Any:
        return self.validation_step(batch, batch_idx)

    def training_epoch_end(self, outputs: list[Any]) -> None:
        self.counts.append(("train", len(outputs)))

    def validation_epoch_end(self, outputs: list[Any]) -> None:
        self.counts.append(("val", len(outputs)))

    def test_epoch_end(self, outputs: list[Any]) -> None:
        self.counts.append(("test", len(outputs)))


def test_the_end_of_an_epoch_has_the_outputs_of_its_own_stage(tmp_path: Path) -> None:
    model = adapt_module(Shared())
    run = trainer(tmp_path)
    run.fit(model, datamodule=NoisyData())
    run.test(model, datamodule=NoisyData(), verbose=False)
    assert model.counts == [("val", 2), ("train", 5), ("test", 2)]


class Counting(Callback):
    """Keeps its state as Lightning 1 had it: returned when a checkpoint is saved, and given back."""

    def __init__(self) -> None:
        self.epochs = 0

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        self.epochs += 1

    def on_save_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: Any) -> Any:
        return {"epochs": self.epochs}

    def on_load_checkpoint(self, trainer: Any, pl_module: Any, callback_state: Any) -> None:
        self.epochs = callback_state["epochs"]


def test_what_a_callback_returns_for_a_checkpoint_is_given_back_to_it(tmp_path: Path) -> None:
    saving, loading, unknown = Counting(), Counting(), Counting()
    first, second, third = trainer(tmp_path), trainer(tmp_path), trainer(tmp_path)
    first.callbacks.append(adapt_callback(saving))  # type: ignore[attr-defined]
    first.fit(Model(), datamodule=NoisyData())
    first.save_checkpoint(tmp_path / "counting.ckpt")
    second.callbacks.append(adapt_callback(loading))  # type: ignore[attr-defined]
    second.fit(Model(), datamodule=NoisyData(), ckpt_path=tmp_path / "counting.ckpt", weights_only=False)
    assert loading.epochs == 1
    third.fit(Model(), datamodule=NoisyData())
    third.save_checkpoint(tmp_path / "without.ckpt")
    second.callbacks[:] = [adapt_callback(unknown)]  # type: ignore[attr-defined]
    second.fit(Model(), datamodule=NoisyData(), ckpt_path=tmp_path / "without.ckpt", weights_only=False)
    assert unknown.epochs == 0


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
    run.fit(adapt_module(model), datamodule=NoisyData())
    assert run.global_step == 5
    assert model.numbers == [0] * (3 * 5 + 1)
    assert len(model.rates) == 1 + 5  # one at the start of the epoch, one for each step
    assert not any(torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))


class DefaultsForAll(Model):
    def optimizer_step(  # type: ignore[override]
        self,
        epoch: Any = None,
        batch_idx: Any = None,
        optimizer: Any = None,
        optimizer_idx: Any = None,
        optimizer_closure: Any = None,
        on_tpu: Any = None,
    ) -> None:
        optimizer.step(closure=optimizer_closure)


class DefaultsForSome(Model):
    def optimizer_step(  # type: ignore[override]
        self,
        epoch: int,
        batch_idx: int,
        optimizer: Any,
        optimizer_idx: int = 0,
        optimizer_closure: Any = None,
        **kwargs: Any,
    ) -> None:
        optimizer.step(closure=optimizer_closure)


class Stars(Model):
    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int, *args: Any) -> None:
        assert (dataloader_idx, args) == (0, ())

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_idx: int, *args: Any) -> None:  # type: ignore[override]
        optimizer.step(closure=args[0])


@pytest.mark.parametrize("own", [DefaultsForAll, DefaultsForSome, Stars])
def test_each_argument_reaches_its_own_place(tmp_path: Path, own: type[Model]) -> None:
    run = trainer(tmp_path)
    run.fit(adapt_module(own()), datamodule=NoisyData())
    assert run.global_step == 5


class OneOfOne(Old):
    """As code was that other code with several optimizers shares: `optimizer_idx` has a default."""

    def training_step(self, batch: Any, batch_idx: int, optimizer_idx: int = 0) -> dict[str, Any]:  # type: ignore[override]
        assert optimizer_idx == 0
        loss = self.loss(batch)
        return {"loss": loss, "log": {"train/old": loss}}

    def validation_epoch_end(self, outputs: Any) -> Any:
        super().validation_epoch_end(outputs)
        return {"log": {"val/old": 1.0}}


def test_an_optimizer_index_with_one_optimizer_and_a_returned_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger("innereye_runtime").propagate = True
    model = adapt_module(OneOfOne())
    with caplog.at_level(logging.WARNING, "innereye_runtime"):
        trainer = pl.Trainer(
            default_root_dir=tmp_path, max_epochs=2, logger=False, enable_checkpointing=False, callbacks=[ReturnedLog()]
        )
        trainer.fit(model, NoisyData())
    assert ("training_epoch_end", 5) in model.calls and "train/old" not in trainer.callback_metrics
    told = [record.getMessage() for record in caplog.records if "{'log': ...}" in record.getMessage()]
    assert sum("training_step returned {'log': ...} with train/old" in each for each in told) == 1
    assert any("validation_epoch_end returned {'log': ...} with val/old" in each for each in told)


NAMES = """
import pytorch_lightning as pl
from pytorch_lightning.utilities.cloud_io import atomic_save, get_filesystem, load
from pytorch_lightning.utilities.apply_func import apply_to_collection, move_data_to_device
from pytorch_lightning.utilities.seed import seed_everything
from pytorch_lightning.utilities.distributed import rank_zero_only
from pytorch_lightning.utilities import move_data_to_device as moved
from pytorch_lightning.profiler import AdvancedProfiler, BaseProfiler, PyTorchProfiler, SimpleProfiler
from pytorch_lightning.profiler.profilers import SimpleProfiler as Simple
from pytorch_lightning.plugins import DDPPlugin
from pytorch_lightning.plugins.training_type.ddp import DDPPlugin as Deep
from pytorch_lightning.plugins.training_type import TrainingTypePlugin
from pytorch_lightning.plugins.training_type.deepspeed import DeepSpeedPlugin
from pytorch_lightning.callbacks import GPUStatsMonitor
from pytorch_lightning.callbacks.progress import ProgressBarBase
pl.metrics.Metric
"""


def test_names_of_lightning_1_that_have_a_successor_are_there() -> None:
    lightning1_imports.install()
    found: dict[str, Any] = {}
    exec(NAMES, found)
    assert found["DDPPlugin"] is found["Deep"] is pl.strategies.DDPStrategy
    assert found["BaseProfiler"] is pl.profilers.Profiler and found["Simple"] is pl.profilers.SimpleProfiler
    assert found["TrainingTypePlugin"] is pl.strategies.Strategy
    plugin = found["DDPPlugin"](find_unused_parameters=False)
    assert container_arguments({"plugins": plugin}, "Mine") == {"strategy": plugin, "plugins": []}
    assert container_arguments({"plugins": [plugin]}, "Mine") == {"strategy": plugin, "plugins": []}
