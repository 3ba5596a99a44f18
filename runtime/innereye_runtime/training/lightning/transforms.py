"""Random transforms that draw from a NumPy generator of their own, `R`, as those of MONAI do: seeded with the run.

MONAI gives each a state from the operating system where nobody asks for another one, so two runs would differ.
"""

from __future__ import annotations

import hashlib
import logging
from functools import partial
from typing import Any, Final

import numpy
import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from innereye_runtime.training.checkpoints.extra_state import walk

log = logging.getLogger("innereye_runtime")

_WORDS: Final = 624
_HIGHEST_BIT, _OTHER_BITS = 0x80000000, 0x7FFFFFFF
_MATRIX: Final = 0x9908B0DF
_CACHES: Final = ("SmartCacheDataset",)
"""Datasets of MONAI that exchange what they hold from epoch to epoch, in threads of their own."""


class SeededTransforms(Callback):
    """Seeds transforms as soon as the data loaders that hold them are made, before a worker gets a copy."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._wrapped: set[int] = set()
        self.not_saved: list[str] = []
        """What changes in training and is in no checkpoint."""

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        loops = (trainer.fit_loop, trainer.fit_loop.epoch_loop.val_loop)
        for loop in (*loops, trainer.validate_loop, trainer.test_loop, trainer.predict_loop):
            source = loop._data_source
            if id(source) not in self._wrapped:
                self._wrapped.add(id(source))
                source.dataloader = partial(self._made, source)  # type: ignore[method-assign]

    def _made(self, source: Any) -> Any:
        loaders = type(source).dataloader(source)
        caches = seed_transforms({source.name: loaders}, self._seed)
        self.not_saved = sorted({*self.not_saved, *(f"the cache of {each}" for each in caches)})
        return loaders


def seed_transforms(roots: dict[str, Any], seed: int) -> list[str]:
    """Gives each object below `roots` whose attribute `R` is a `numpy.random.RandomState` a state that follows from
    `seed` and its place, unless it has one from a seed already. Returns the places of the caches that exchange their
    items: what they hold can't be saved."""
    caches = []
    for path, value in walk(roots):
        if type(value).__name__ in _CACHES:
            caches.append(path)
            log.warning(
                "warning: %s is a %s, which exchanges its items as it goes: a run that is resumed has others in its "
                "cache than one that was never stopped. CacheDataset has not",
                path,
                type(value).__name__,
            )
        state = getattr(value, "R", None)
        if not isinstance(state, numpy.random.RandomState) or is_seeded(state):
            continue
        own = int.from_bytes(hashlib.sha256(f"{seed}:{path}".encode()).digest()[:4], "little")
        if callable(set_random_state := getattr(value, "set_random_state", None)):
            set_random_state(seed=own)
        if getattr(value, "R", None) is state:
            value.R = numpy.random.RandomState(own)
    return caches


def is_seeded(state: numpy.random.RandomState) -> bool:
    """Whether a state comes from a seed, as long as less than `_WORDS` numbers were drawn from it; not from the
    operating system."""
    found = state.get_state(legacy=False)
    assert isinstance(found, dict)
    if found["bit_generator"] != "MT19937":
        return True  # of another kind, which is made on purpose
    words = [int(word) for word in found["state"]["key"]]
    if found["state"]["pos"] != _WORDS:
        words = _before(words)
    # https://en.wikipedia.org/wiki/Mersenne_Twister#Initialization; the first word is not known whole
    return all(
        words[at] == (1812433253 * (words[at - 1] ^ (words[at - 1] >> 30)) + at) & 0xFFFFFFFF for at in range(2, 12)
    )


def _before(words: list[int]) -> list[int]:
    """The words that the generator made these from."""
    words = list(words)
    for at in reversed(range(_WORDS)):
        upper = _untwisted(words[at] ^ words[(at + 397) % _WORDS])[0]
        mixed, odd = _untwisted(words[at - 1] ^ words[(at + 396) % _WORDS])
        words[at] = (upper << 1 & _HIGHEST_BIT) | (mixed << 1 & _OTHER_BITS) | odd
    return words


def _untwisted(word: int) -> tuple[int, int]:
    return (word ^ _MATRIX, 1) if word & _HIGHEST_BIT else (word, 0)
