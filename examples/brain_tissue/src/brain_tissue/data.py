"""Subjects in folders as a LightningDataModule: patches for training, whole volumes for validation and test."""

from __future__ import annotations

from pathlib import Path

import pytorch_lightning as pl
import torch
from monai.data import CacheDataset, DataLoader, Dataset, MetaTensor, decollate_batch
from monai.transforms import (
    Compose,
    Invertd,
    LoadImaged,
    NormalizeIntensityd,
    Orientationd,
    RandAdjustContrastd,
    RandAffined,
    RandCropByPosNegLabeld,
    RandFlipd,
    RandGaussianNoised,
    Spacingd,
    SpatialPadd,
)
from torch.utils.data import RandomSampler

IMAGE, LABEL = "image", "label"
BOTH = (IMAGE, LABEL)
MODES = {IMAGE: "bilinear", LABEL: "nearest"}


class BrainSubjects(pl.LightningDataModule):
    """A folder for each subject below `root`, with T1w.nii.gz and tissues.nii.gz. Those not named are for training."""

    def __init__(
        self,
        root: Path,
        validation: list[str],
        test: list[str],
        spacing: float = 2.0,
        patch: int = 48,
        patches_per_epoch: int = 48,
        batch_size: int = 2,
        workers: int = 2,
    ) -> None:
        super().__init__()
        self.root, self.validation, self.test = root, validation, test
        self.spacing, self.patch, self.patches_per_epoch = spacing, patch, patches_per_epoch
        self.batch_size, self.workers = batch_size, workers
        self.preprocessing = self._preprocessing(IMAGE)

    def setup(self, stage: str) -> None:
        subjects = sorted(path.name for path in self.root.glob("*") if (path / "T1w.nii.gz").is_file())
        held_out = [*self.validation, *self.test]
        if missing := sorted(set(held_out) - set(subjects)):
            raise FileNotFoundError(f"{self.root} has no {', '.join(missing)}")
        if stage in ("fit", "validate"):
            before = [LoadImaged(BOTH, ensure_channel_first=True), self._preprocessing(*BOTH)]
            training = self._files([name for name in subjects if name not in held_out])
            # What is random comes after what is cached: each subject is read and resampled once.
            self.train_data = CacheDataset(training, Compose([*before, *self._augmentation()]), progress=False)
            self.val_data = CacheDataset(self._files(self.validation), Compose(before), progress=False)
        if stage == "test":
            # Predictions are compared with the reference as it is, on the grid of the source.
            only_image = [LoadImaged(IMAGE, ensure_channel_first=True), self.preprocessing]
            self.test_data = Dataset(self._files(self.test), Compose(only_image))

    def train_dataloader(self) -> DataLoader:
        # Random transforms are seeded in each worker from PyTorch's generator, which a resumed run restores. Without
        # workers MONAI keeps their state in the transforms, where no checkpoint has it.
        sampler = RandomSampler(self.train_data, num_samples=self.patches_per_epoch)
        return DataLoader(
            self.train_data, batch_size=self.batch_size, sampler=sampler, num_workers=max(1, self.workers)
        )

    def val_dataloader(self) -> DataLoader:
        return DataLoader(self.val_data, batch_size=1)

    def test_dataloader(self) -> DataLoader:
        return DataLoader(self.test_data, batch_size=1)

    def on_source_grid(self, batch: dict[str, MetaTensor], logits: torch.Tensor) -> list[torch.Tensor]:
        """The labels of each volume of a batch of the test, X x Y x Z, with the axes and the shape of its file."""
        batch = {**batch, "logits": MetaTensor(logits.cpu(), meta=batch[IMAGE].meta)}
        inverted = Invertd("logits", self.preprocessing, orig_keys=IMAGE, nearest_interp=False)
        return [inverted(each)["logits"].argmax(dim=0) for each in decollate_batch(batch)]

    def _files(self, subjects: list[str]) -> list[dict[str, str]]:
        return [
            {IMAGE: str(self.root / name / "T1w.nii.gz"), LABEL: str(self.root / name / "tissues.nii.gz")}
            for name in subjects
        ]

    def _preprocessing(self, *keys: str) -> Compose:
        """One orientation and one voxel size for all, and intensities about zero."""
        return Compose(
            [
                Orientationd(keys, axcodes="RAS", labels=None),
                Spacingd(keys, pixdim=(self.spacing,) * 3, mode=[MODES[key] for key in keys]),
                NormalizeIntensityd(IMAGE, nonzero=True),
            ]
        )

    def _augmentation(self) -> list[object]:
        size = (self.patch,) * 3
        modes = [MODES[key] for key in BOTH]
        return [
            SpatialPadd(BOTH, size),
            RandCropByPosNegLabeld(BOTH, LABEL, size, pos=4, neg=1, num_samples=1),
            RandAffined(BOTH, prob=0.5, rotate_range=0.15, scale_range=0.1, mode=modes, padding_mode="zeros"),
            RandFlipd(BOTH, prob=0.5, spatial_axis=0),
            RandAdjustContrastd(IMAGE, prob=0.3, gamma=(0.8, 1.25)),
            RandGaussianNoised(IMAGE, prob=0.3, std=0.1),
        ]
