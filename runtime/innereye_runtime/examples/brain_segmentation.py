"""Grey and white matter in a brain: a 2D U-Net on coronal slices of the MNI152 template.

The volume ships inside the nilearn package (`pip install nilearn`), so nothing is downloaded. It is the average of 152
heads with its tissue probabilities: the task is real, but it is one brain, and what is learned is no tool for patients.

Neighbouring slices are nearly equal, and the template's left and right are mirror images. An honest split is therefore
one of blocks along an axis without that symmetry, with gaps in between: here from the back of the head to the front.
The manifest is manifests/brain_segmentation.yaml.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import param
import torch
from numpy.typing import NDArray
from pytorch_lightning import LightningDataModule
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from innereye_runtime import LightningContainer, LightningModuleWithOptimizer, add_overlay

TISSUES = ("grey matter", "white matter")
"""Labels 1 and 2; 0 is everything else."""

BLOCKS = {"train": range(40, 120), "val": range(128, 140), "test": range(148, 190)}
"""Coronal slices, 1 mm apart, from back to front: occipital lobe to thalamus, anterior commissure, frontal lobe."""


class BrainSegmentationContainer(LightningContainer):
    channels = param.Integer(default=12, bounds=(1, None), doc="Channels of the first level; each level doubles them.")
    levels = param.Integer(default=3, bounds=(1, 4), doc="Resolutions of the U-Net, each half of the one before.")
    batch_size = param.Integer(default=4, bounds=(1, None), doc="Slices in a batch.")

    def __init__(self) -> None:
        super().__init__(num_epochs=10, l_rate=3e-3, l_rate_polynomial_gamma=0.9)

    def create_model(self) -> BrainSegmentationModel:
        return BrainSegmentationModel(channels=self.channels, levels=self.levels)

    def get_data_module(self) -> BrainSlices:
        return BrainSlices(batch_size=self.batch_size)


class BrainSegmentationModel(LightningModuleWithOptimizer):
    """A U-Net, its loss, and the Dice score of each tissue over a whole block of slices."""

    def __init__(self, channels: int, levels: int) -> None:
        super().__init__()
        self.network = UNet(channels=channels, levels=levels, classes=len(TISSUES) + 1)
        self.outputs: list[tuple[Tensor, Tensor, Tensor]] = []

    def forward(self, images: Tensor) -> Tensor:
        """Logits, slices x classes x H x W, of `images`, slices x 1 x H x W; H and W divide by 2 ** (levels - 1)."""
        logits: Tensor = self.network(images)
        return logits

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        images, labels = batch
        loss = cross_entropy_and_dice(self(images), labels)
        self.log("train/loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        images, labels = batch
        logits = self(images)
        self.log("val/loss", cross_entropy_and_dice(logits, labels))
        self.outputs.append((images.cpu(), labels.cpu(), logits.argmax(dim=1).cpu()))

    def on_validation_epoch_end(self) -> None:
        self._log_dice("val", self._take_outputs())

    def test_step(self, batch: list[Tensor], batch_idx: int) -> None:
        images, labels = batch
        self.outputs.append((images.cpu(), labels.cpu(), self(images).argmax(dim=1).cpu()))

    def on_test_epoch_end(self) -> None:
        images, labels, predictions = outputs = self._take_outputs()
        self._log_dice("test", outputs)
        slices = [dice(*pair).mean() for pair in zip(predictions, labels, strict=True)]
        ranking = np.argsort(slices)
        for title, place in (("Worst", 0), ("Median", len(ranking) // 2), ("Best", -1)):
            index = int(ranking[place])
            add_overlay(
                images[index, 0],
                predictions[index],
                f"{title} test slice",
                f"Coronal slice {BLOCKS['test'][index]}, mean Dice of the two tissues {slices[index]:.3f}.",
                names=TISSUES,
                reference=labels[index],
            )

    def _take_outputs(self) -> tuple[Tensor, Tensor, Tensor]:
        images, labels, predictions = (torch.cat(each) for each in zip(*self.outputs, strict=True))
        self.outputs.clear()
        return images, labels, predictions

    def _log_dice(self, split: str, outputs: tuple[Tensor, Tensor, Tensor]) -> None:
        _, labels, predictions = outputs
        for tissue, score in zip(TISSUES, dice(predictions, labels), strict=True):
            self.log(f"{split}/dice_{tissue.replace(' ', '_')}", float(score))


class BrainSlices(LightningDataModule):
    """The T1 volume as coronal slices with their tissue labels, in the blocks of `BLOCKS`."""

    def __init__(self, batch_size: int) -> None:
        super().__init__()
        self.batch_size = batch_size
        self.splits: dict[str, TensorDataset] = {}

    def setup(self, stage: str) -> None:
        if not self.splits:
            images, labels = load_volume()
            for split, block in BLOCKS.items():
                chosen = slice(block.start, block.stop)
                self.splits[split] = TensorDataset(
                    torch.from_numpy(images[chosen, None]), torch.from_numpy(labels[chosen])
                )

    def train_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return DataLoader(self.splits["train"], batch_size=self.batch_size, shuffle=True)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return DataLoader(self.splits["val"], batch_size=self.batch_size)

    def test_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return DataLoader(self.splits["test"], batch_size=self.batch_size)


class UNet(nn.Module):
    """Source: Ronneberger, Fischer, Brox, U-Net, MICCAI 2015; here with padding and batch normalisation."""

    def __init__(self, channels: int, levels: int, classes: int) -> None:
        super().__init__()
        widths = [channels * 2**level for level in range(levels)]
        self.down = nn.ModuleList(double_convolution(i, o) for i, o in pairwise([1, *widths]))
        self.enlarge = nn.ModuleList(nn.ConvTranspose2d(o, i, kernel_size=2, stride=2) for i, o in pairwise(widths))
        self.up = nn.ModuleList(double_convolution(2 * width, width) for width in widths[:-1])
        self.head = nn.Conv2d(channels, classes, kernel_size=1)

    def forward(self, images: Tensor) -> Tensor:
        features, skipped = images, []
        for level, block in enumerate(self.down):
            features = block(features if level == 0 else functional.max_pool2d(features, 2))
            skipped.append(features)
        for level in reversed(range(len(self.up))):
            features = self.up[level](torch.cat([self.enlarge[level](features), skipped[level]], dim=1))
        logits: Tensor = self.head(features)
        return logits


def double_convolution(inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in (inputs, outputs):
        layers += [nn.Conv2d(width, outputs, kernel_size=3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers)


def cross_entropy_and_dice(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy plus one minus the soft Dice score, the mean over tissues, of a batch."""
    probabilities = logits.softmax(dim=1)
    truth = functional.one_hot(labels, logits.shape[1]).movedim(-1, 1)
    overlap, size = ((x.sum(dim=(0, 2, 3))[1:]) for x in (probabilities * truth, probabilities + truth))
    # The 1 keeps a batch without a tissue from dividing by zero.
    return functional.cross_entropy(logits, labels) + 1 - ((2 * overlap + 1) / (size + 1)).mean()


def dice(predictions: Tensor, labels: Tensor) -> NDArray[np.float64]:
    """The Dice score of each tissue; 1 where a tissue is in neither."""
    scores = []
    for label in range(1, len(TISSUES) + 1):
        predicted, true = predictions == label, labels == label
        size = int(predicted.sum() + true.sum())
        scores.append(2 * int((predicted & true).sum()) / size if size else 1.0)
    return np.array(scores)


def load_volume() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The T1 image (0 to 1) and its labels as 233 coronal slices of 160 rows, top to bottom, and 160 columns.

    Each voxel has the label of its most probable tissue. The cut holds the whole brain; its sides halve five times.
    """
    # Imported here: only the process that trains needs nilearn, not the one that reads this class.
    from nilearn.datasets import load_mni152_gm_template, load_mni152_template, load_mni152_wm_template  # type: ignore[import-untyped]

    t1, grey, white = (
        # Axes of nilearn: left to right, back to front, bottom to top.
        load(resolution=1).get_fdata(dtype=np.float32)[18:178, :, :160].transpose(1, 2, 0)[:, ::-1]
        for load in (load_mni152_template, load_mni152_gm_template, load_mni152_wm_template)
    )
    labels = np.stack([1 - grey - white, grey, white]).argmax(axis=0)
    return np.ascontiguousarray(t1), labels
