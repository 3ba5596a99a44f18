"""Which batches an epoch has drawn so far, and drawing the same ones once more, for nobody, in a process that resumes.

A loader without workers whose dataset can be indexed skips what was drawn: its sampler is asked, and no item is loaded.
All others load it again, as their workers and streams have states of their own that nothing else brings to the same.
What was drawn is compared then. It can't be the same where the order of batches comes from a generator that training
draws from too: that is noticed as it happens.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy
import pytorch_lightning as pl
import torch
from pytorch_lightning.loops.fetchers import _DataLoaderIterDataFetcher
from torch.utils._pytree import tree_leaves
from torch.utils.data import DataLoader
from torch.utils.data.dataloader import _BaseDataLoaderIter, _SingleProcessDataLoaderIter

_OFTEN: Final = 16
"""Draws of an epoch that are each looked at; of those after them, some are: a look at a batch takes 0.1 ms."""
_SAMPLE: Final = 64
_STATEFUL: Final = ("torchdata.stateful_dataloader.stateful_dataloader", "StatefulDataLoader")
"""Asks its sampler as PyTorch's own loader does. The state that it offers is not used: that has neither the generators
of its workers nor the batch that is drawn ahead."""
_SINGLE: Final = (
    (_SingleProcessDataLoaderIter.__module__, _SingleProcessDataLoaderIter.__name__),
    (_STATEFUL[0], "_StatefulSingleProcessDataLoaderIter"),
)
"""Iterators without workers."""


class DrawnBatches:
    """Watches the iterator of one epoch, from before its first batch on."""

    def __init__(self, trainer: pl.Trainer) -> None:
        fetcher: Any = trainer.fit_loop._data_fetcher
        self._fetcher = fetcher
        self.refusal = ""
        """Why they can't be drawn the same once more; empty: nothing is known against it."""
        self._skips: Any = None
        self._drawn: list[_Drawn] = []
        if isinstance(fetcher, _DataLoaderIterDataFetcher):
            self.refusal = "training_step draws its batches itself"
            return
        self._mode: Any = fetcher.combined_loader._iterator
        own = self._mode.iterators
        alone = own[0] if len(own) == 1 and isinstance(own[0], _BaseDataLoaderIter) and _is_indexed(trainer) else None
        single = _class_of(alone) in _SINGLE
        if alone is not None:
            # A sampler draws its order, or the seed of it, with the first of its indices; workers have asked for it.
            alone._sampler_iter = _Drawn(alone._sampler_iter, _of_indices, begun=not single)
            self._drawn.append(alone._sampler_iter)
        if single and fetcher.length is not None:
            self._skips = alone
            return
        begun = fetcher.length is None  # then a batch is drawn ahead
        fetcher.iterator = _Drawn(fetcher.iterator, _of_content, begun=begun, always=len(own) != 1)
        self._drawn.append(fetcher.iterator)

    def reason(self) -> str:
        """Why what was drawn so far can't be drawn again; empty: it can."""
        if not self.refusal and any(each.draws for each in self._drawn):
            self.refusal = "the order of its batches comes from a generator that training draws from too"
        return self.refusal

    def state(self) -> dict[str, Any]:
        return {"fetched": self._fetcher.fetched, "sums": [(each.count, each.sum) for each in self._drawn]}

    def redraw(self, batches: int, look: Callable[[], None]) -> bool:
        """Draws as many, and whether there were as many. `look` is called between two."""
        try:
            for _ in range(batches):
                look()
                if self._skips is None:
                    next(self._fetcher)
                else:
                    self._skip()
        except StopIteration:  # Lightning would take it for the end of training
            return False
        return True

    def _skip(self) -> None:
        fetcher = self._fetcher
        self._skips._next_index()
        self._skips._num_yielded += 1
        self._mode._idx += 1
        fetcher.fetched += 1
        fetcher.done = fetcher.fetched >= fetcher.length


class _Drawn:
    """An iterator that keeps a checksum of what it gave, and notices draws from the generators that all share."""

    def __init__(
        self, inner: Iterator[Any], checksum: Callable[[Any], int], *, begun: bool, always: bool = False
    ) -> None:
        """`begun`: the first draw is over. `always`: looks at each one, not at some."""
        self._inner, self._checksum, self._begun, self._always = inner, checksum, begun, always
        self.count = self.sum = 0
        self.draws = False

    def __iter__(self) -> _Drawn:
        return self

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)  # torchdata's has a state

    def __next__(self) -> Any:
        looked_at = self._always or self.count < _OFTEN or self.count & (self.count - 1) == 0
        before = _shared() if looked_at and (self.count > 0 or self._begun) else None
        drawn = next(self._inner)
        if before is not None and before != _shared():
            self.draws = True
        if self.count < _OFTEN or self._checksum is _of_indices or self.count % _OFTEN == 0:
            self.sum = zlib.crc32(self._checksum(drawn).to_bytes(4, "little"), self.sum)
        self.count += 1
        return drawn


def _is_indexed(trainer: pl.Trainer) -> bool:
    loader: Any = trainer.train_dataloader
    plain = isinstance(loader, DataLoader) and type(loader).__iter__ is DataLoader.__iter__
    return (plain or _class_of(loader) == _STATEFUL) and not isinstance(
        loader.dataset, torch.utils.data.IterableDataset
    )


def _class_of(each: object) -> tuple[str, str]:
    return type(each).__module__, type(each).__name__


def _shared() -> tuple[Any, ...]:
    legacy: Any = numpy.random.get_state()
    return random.getstate(), legacy[1].tobytes(), legacy[2], torch.get_rng_state().numpy().tobytes()


def _of_indices(indices: Any) -> int:
    return zlib.crc32(repr(indices).encode())


def _of_content(drawn: Any) -> int:
    """Of shapes, kinds and the ends of each tensor: it is a sample, as a batch may be large."""
    total = 0
    for leaf in tree_leaves(drawn):
        try:
            text = _sample(leaf)
        except Exception:  # of a tensor that is not stored as others are: a look at a batch must not end a run
            text = type(leaf).__name__
        total = zlib.crc32(text.encode(), total)
    return total


def _sample(leaf: Any) -> str:
    if isinstance(leaf, torch.Tensor) and leaf.layout is torch.strided and not leaf.is_quantized:
        flat = leaf.detach().as_subclass(torch.Tensor).reshape(-1)  # the user's own kind of tensor may refuse to be cut
        ends = torch.cat([flat[:_SAMPLE], flat[-_SAMPLE:]]).cpu()
        return repr((tuple(flat.shape), tuple(leaf.shape), flat.dtype, ends.tolist()))
    return repr(leaf) if isinstance(leaf, int | float | str) else type(leaf).__name__


def end_workers(trainer: pl.Trainer) -> None:
    """Lets the workers of `persistent_workers` end with their epoch, as all others do."""
    for loader in tree_leaves([trainer.train_dataloader, trainer.val_dataloaders]):
        if getattr(loader, "persistent_workers", False):
            loader._iterator = None
