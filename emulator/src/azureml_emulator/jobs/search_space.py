"""The values of a sweep's trials, drawn from its search space as the REST API has it: `["choice", [[1, 2]]]`.

Source: https://learn.microsoft.com/azure/machine-learning/how-to-tune-hyperparameters#define-the-search-space
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Space = Mapping[str, Sequence[Any]]


def rejection_reason(space: Space, algorithm: str) -> str:
    """Why the service rejects a search space; '' if it accepts it."""
    if not space:
        return "the search space is empty"
    for name, (kind, _) in space.items():
        if kind not in _DRAW:
            return f"search_space.{name}: there is no distribution {kind}"
        if algorithm == "Grid" and kind != "choice":
            return f"search_space.{name}: grid sampling supports choice only, not {kind}"
    return ""


def draws(space: Space, algorithm: str, seed: int | None) -> Iterator[dict[str, Any]]:
    """The values of one trial after another: every combination of a grid, else without end."""
    if algorithm == "Grid":
        for values in itertools.product(*(arguments[0] for _, arguments in space.values())):
            yield dict(zip(space, values, strict=True))
        return
    generator = random.Random(seed)
    while True:
        yield {name: _DRAW[kind](generator, *arguments) for name, (kind, arguments) in space.items()}


def _stepped(value: float, q: float) -> float:
    return round(value / q) * q


_DRAW: Mapping[str, Any] = {
    "choice": lambda draw, values: draw.choice(values),
    "randint": lambda draw, upper: draw.randrange(upper),
    "uniform": lambda draw, low, high: draw.uniform(low, high),
    "quniform": lambda draw, low, high, q: _stepped(draw.uniform(low, high), q),
    "loguniform": lambda draw, low, high: math.exp(draw.uniform(low, high)),
    "qloguniform": lambda draw, low, high, q: _stepped(math.exp(draw.uniform(low, high)), q),
    "normal": lambda draw, mu, sigma: draw.gauss(mu, sigma),
    "qnormal": lambda draw, mu, sigma, q: _stepped(draw.gauss(mu, sigma), q),
    "lognormal": lambda draw, mu, sigma: math.exp(draw.gauss(mu, sigma)),
    "qlognormal": lambda draw, mu, sigma, q: _stepped(math.exp(draw.gauss(mu, sigma)), q),
}
