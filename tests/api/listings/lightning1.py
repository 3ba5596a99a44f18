"""A classifier as one wrote it for Lightning 1: its modules, metrics, hooks and Trainer arguments."""

from pathlib import Path
from typing import Any, Dict, List  # noqa: UP035

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks.base import Callback
from pytorch_lightning.core.lightning import LightningModule
from pytorch_lightning.utilities.distributed import rank_zero_only
from pytorch_lightning.utilities.seed import seed_everything
from pytorch_lightning.utilities.types import EPOCH_OUTPUT
from torch.utils.data import DataLoader, TensorDataset

from InnerEye.ML.lightning_container import LightningContainer


class Blobs(pl.LightningDataModule):
    def setup(self, stage=None) -> None:
        generator = torch.Generator().manual_seed(0)
        y = torch.arange(40) % 2
        x = torch.randn(40, 2, generator=generator) + 3 * y[:, None]
        self.table = TensorDataset(x, y)

    def train_dataloader(self) -> DataLoader:
        return DataLoader(self.table, batch_size=8, shuffle=True)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(self.table, batch_size=8)

    def test_dataloader(self) -> DataLoader:
        return DataLoader(self.table, batch_size=8)


class Classifier(LightningModule):
    def __init__(self, learning_rate: float) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.layer = torch.nn.Linear(2, 2)
        self.error = pl.metrics.MeanAbsoluteError()
        self.pictures = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)

    def training_step(self, batch: Any, batch_idx: int) -> Dict[str, torch.Tensor]:  # noqa: UP006
        x, y = batch
        return {"logits": self(x), "y": y}

    def training_step_end(self, outputs: Dict[str, torch.Tensor]) -> Dict[str, torch.Tensor]:  # noqa: UP006
        return {"loss": torch.nn.functional.cross_entropy(outputs["logits"], outputs["y"])}

    def training_epoch_end(self, outputs: List[Any]) -> None:  # noqa: UP006
        self.log("train/loss", torch.stack([output["loss"] for output in outputs]).mean())

    def validation_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        x, y = batch
        self.error(self(x).argmax(1), y)
        return torch.nn.functional.cross_entropy(self(x), y)

    def validation_epoch_end(self, outputs: List[torch.Tensor]) -> None:  # noqa: UP006
        self.log("val/loss", torch.stack(outputs).mean())
        self.log("val/error", self.error)
        self.logger.experiment.add_scalar("pictures", self.pictures, self.current_epoch)

    def test_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        return (self(batch[0]).argmax(1) == batch[1]).float().mean()

    def test_epoch_end(self, outputs: EPOCH_OUTPUT) -> None:
        self.log("test/accuracy", torch.stack(outputs).mean())

    def optimizer_step(
        self, epoch, batch_idx, optimizer, optimizer_idx, optimizer_closure, on_tpu, using_native_amp, using_lbfgs
    ) -> None:
        assert optimizer_idx == 0
        for group in optimizer.param_groups:
            group["lr"] = self.hparams.learning_rate * min(1.0, (self.trainer.global_step + 1) / 4)
        optimizer.step(closure=optimizer_closure)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=self.hparams.learning_rate)


class Counter(Callback):
    def __init__(self) -> None:
        self.epochs = 0

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx, dataloader_idx) -> None:
        assert dataloader_idx == 0

    def on_epoch_end(self, trainer, pl_module) -> None:
        self.epochs += 1
        self.write()

    @rank_zero_only
    def write(self) -> None:
        Path("epochs.txt").write_text(str(self.epochs))


class Lightning1(LightningContainer):
    def __init__(self) -> None:
        super().__init__(num_epochs=2, l_rate=0.1)

    def setup(self) -> None:
        seed_everything(self.get_effective_random_seed())

    def create_model(self) -> LightningModule:
        return Classifier(self.l_rate)

    def get_data_module(self) -> pl.LightningDataModule:
        return Blobs()

    def get_callbacks(self) -> List[Callback]:  # noqa: UP006
        return [Counter()]

    def get_trainer_arguments(self) -> Dict[str, Any]:  # noqa: UP006
        return {
            "gpus": 1,
            "accelerator": "ddp",
            "progress_bar_refresh_rate": 0,
            "weights_summary": None,
            "terminate_on_nan": True,
            "checkpoint_callback": False,
            "resume_from_checkpoint": None,
            "flush_logs_every_n_steps": 10,
        }
