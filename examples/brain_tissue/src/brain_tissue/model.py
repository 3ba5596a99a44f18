"""A 3D U-Net of MONAI as a LightningModule: trained on patches, evaluated on whole volumes by a sliding window."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from monai.data import MetaTensor
from monai.inferers import SlidingWindowInferer
from monai.losses import DiceCELoss
from monai.metrics import DiceMetric
from monai.networks.nets import UNet
from monai.networks.utils import one_hot

from brain_tissue.evaluation import TISSUES, Subject, report, write_prediction


class TissueSegmentation(pl.LightningModule):
    def __init__(
        self,
        channels: list[int] = [8, 16, 32, 64],  # noqa: B006
        lr: float = 1e-2,
        window: int = 64,
        overlap: float = 0.25,
    ) -> None:
        super().__init__()
        self.lr = lr
        classes = len(TISSUES) + 1
        # The first level has the resolution of the image: tissues are as thin as a voxel.
        strides = [1] + [2] * (len(channels) - 2)
        self.network = UNet(3, 1, classes, channels=channels, strides=strides, norm="instance")
        self.loss = DiceCELoss(to_onehot_y=True, softmax=True)
        self.whole_volume = SlidingWindowInferer((window,) * 3, sw_batch_size=2, overlap=overlap, mode="gaussian")
        self.dice = DiceMetric(include_background=False)
        self.tested: list[Subject] = []

    def forward(self, volume: torch.Tensor) -> torch.Tensor:
        """The logits of whole volumes, N x classes x X x Y x Z."""
        return self.whole_volume(volume, self.network)

    def training_step(self, batch: dict[str, MetaTensor], batch_idx: int) -> torch.Tensor:
        image, label = batch["image"].as_tensor(), batch["label"].as_tensor()
        loss = self.loss(self.network(image), label)
        self.log("train/loss", loss, on_step=False, on_epoch=True, batch_size=len(image))
        return loss

    def validation_step(self, batch: dict[str, MetaTensor], batch_idx: int) -> None:
        image, label = batch["image"].as_tensor(), batch["label"].as_tensor()
        logits = self(image)
        self.log("val/loss", self.loss(logits, label), batch_size=len(image))
        classes = logits.shape[1]
        self.dice(one_hot(logits.argmax(dim=1, keepdim=True), classes), one_hot(label, classes))

    def on_validation_epoch_end(self) -> None:
        for tissue, score in zip(TISSUES, self.dice.aggregate("mean_batch"), strict=True):
            self.log(f"val/{tissue}/dice", score)
        self.dice.reset()

    def test_step(self, batch: dict[str, MetaTensor], batch_idx: int) -> None:
        logits = self(batch["image"].as_tensor())
        volumes = self.trainer.datamodule.on_source_grid(batch, logits)
        for labels, source in zip(volumes, batch["image"].meta["filename_or_obj"], strict=True):
            image = Path(source)
            prediction = write_prediction(labels.numpy(), image, Path("predictions"))
            self.tested.append(Subject(image, prediction, reference=image.with_name("tissues.nii.gz")))

    def on_test_epoch_end(self) -> None:
        for name, mean in report(self.tested).items():
            self.log(f"test/{name}", mean)
        self.tested.clear()

    def configure_optimizers(self) -> dict[str, Any]:
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.lr, weight_decay=1e-4)
        epochs = self.trainer.max_epochs
        return {"optimizer": optimizer, "lr_scheduler": torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)}
