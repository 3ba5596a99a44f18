"""The processes that train together, and what they decide and collect together between two batches: on the CPU, without
a wait for a GPU."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from torch import distributed


class World:
    """One process alone, until `join`. Each method is called by all of them, in the same order."""

    def __init__(self) -> None:
        self.size, self.rank = 1, 0
        self._group: Any = None

    def join(self, trainer: pl.Trainer) -> None:
        if self.size > 1:
            return
        self.size, self.rank = trainer.world_size, trainer.global_rank
        if self.size > 1 and distributed.get_backend() != "gloo":
            strategy: Any = trainer.strategy
            self._group = distributed.new_group(backend="gloo", timeout=strategy._timeout)

    def agree(self, *own: int) -> tuple[int, ...]:
        """Of each number the largest that a process gives."""
        if self.size == 1:
            return own
        given = torch.tensor([int(each) for each in own])
        distributed.all_reduce(given, op=distributed.ReduceOp.MAX, group=self._group)
        return tuple(given.tolist())

    def reason(self, own: str) -> str:
        """What the first process gives that gives something, with its rank."""
        if self.size == 1:
            return own
        given: list[Any] = [None] * self.size
        distributed.all_gather_object(given, own, group=self._group)
        rank = next((rank for rank, each in enumerate(given) if each), None)
        return "" if rank is None else given[rank] + (f" (rank {rank})" if rank else "")

    def of_first(self, own: Any) -> Any:
        """What the first process gives."""
        given = [own]
        distributed.broadcast_object_list(given, src=0, group=self._group)
        return given[0]

    def collect(self, own: Any) -> list[Any]:
        """What each process gives, in the first one; empty in the others."""
        given: list[Any] | None = [None] * self.size if self.rank == 0 else None
        distributed.gather_object(own, given, dst=0, group=self._group)
        return given or []
