"""Weights and optimizers as they are before hooks that may change them, to be put back after those."""

from __future__ import annotations

from copy import deepcopy

import pytorch_lightning as pl
import torch


class Untouched:
    def __init__(self, trainer: pl.Trainer) -> None:
        self._trainer = trainer
        tensors = _tensors(trainer.lightning_module)
        self._versions = {name: (id(tensor), tensor._version) for name, tensor in tensors.items()}
        self._values = {name: tensor.detach().to("cpu", copy=True) for name, tensor in tensors.items()}
        self._groups = [[_settings(group) for group in each.param_groups] for each in trainer.optimizers]

    def restore(self) -> None:
        """Puts back what was changed since, of weights, buffers and settings of the optimizers."""
        for name, tensor in _tensors(self._trainer.lightning_module).items():
            if name in self._values and self._versions[name] != (id(tensor), tensor._version):
                with torch.no_grad():
                    tensor.copy_(self._values[name])
        for optimizer, groups in zip(self._trainer.optimizers, self._groups, strict=False):
            for group, settings in zip(optimizer.param_groups, groups, strict=False):
                group.update(deepcopy(settings))


def _tensors(model: pl.LightningModule) -> dict[str, torch.Tensor]:
    named = [*model.named_parameters(), *model.named_buffers()]
    return {name: tensor for name, tensor in named if tensor.layout is torch.strided and not tensor.is_meta}


def _settings(group: dict[str, object]) -> dict[str, object]:
    return deepcopy({name: value for name, value in group.items() if name != "params"})
