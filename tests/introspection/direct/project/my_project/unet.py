"""Modules with arguments of every kind; they are read, and never imported."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Optional

import pytorch_lightning as pl
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

Size = Literal["small", "large"]


class Mode(Enum):
    FAST = "quick"
    EXACT = "slow"


class Encoder(nn.Module):
    def __init__(self, depth: int, width: int = 8, act: Optional[nn.Module] = None) -> None:  # noqa: UP045
        super().__init__()


class ResidualEncoder(Encoder):
    pass


class Decoder(nn.Module):
    pass


@dataclass
class Schedule:
    warmup: int
    gamma: float = 0.9


class Trained(pl.LightningModule):
    """What all models here have in common."""

    def __init__(self, lr: float = 1e-3, frozen: bool = False) -> None:
        super().__init__()

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor: ...


class UNet(Trained):
    """Segments a volume."""

    def __init__(
        self,
        channels: int,
        size: Size = "small",
        mode: Mode = Mode.FAST,
        encoder: Encoder | None = None,
        schedule: Schedule | None = None,
        weights: Path | None = None,
        classes: Sequence[str] = ("background", "lesion"),
        patch: tuple[int, int, int] = (64, 64, 64),
        dropout: float | None = None,
        blocks: list[Encoder] | None = None,
        activation: Callable[[Tensor], Tensor] = nn.functional.relu,
        norm: type[nn.Module] = nn.BatchNorm3d,
        options: dict[str, int] | None = None,
        name="unet",
        **kwargs,
    ) -> None:
        super().__init__(frozen=False, **kwargs)

    def test_step(self, batch: Tensor, batch_idx: int) -> None: ...


class OwnLoaders(Trained):
    def train_dataloader(self) -> object: ...


class Open(pl.LightningModule):
    def __init__(self, channels: int = 1, **hparams: object) -> None:
        super().__init__()
        self.save_hyperparameters()

    def train_dataloader(self) -> object: ...


class Misspelled(pl.LightningModule):
    def __init__(self, channels: int, num_class: int = 2, width: int = 8, depth: int = 1) -> None:
        super().__init__()
        self.automatic_optimisation = False
        self.chanels = channels
        self.num_classes = num_class  # another name, which only others read
        self.width = width
        self.widths = 3
        self.deepth = depth

    def train_dataloader(self) -> object: ...

    def test_step(self, batch: Tensor, batch_idx: int) -> None:
        print(self.channels, self.deepth)
