"""The trials of a sweep as lines over parallel axes: one for each parameter that varies, and the metric as the last."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from statistics import median
from typing import Any, Final

from innereye_runtime.figures.chart import number

STYLE: Final = """
.axes { width: 100%; height: auto; display: block; }
.axes .axis { stroke: var(--muted); stroke-width: 1; }
.axes text { fill: var(--muted); font-size: 11px; text-anchor: middle; paint-order: stroke; stroke: var(--paper);
  stroke-width: 4px; stroke-linejoin: round; }
.axes text.name { fill: var(--ink); font-weight: 600; }
.axes .trial { fill: none; stroke-width: 1.3;
  stroke: color-mix(in srgb, var(--busy) calc(var(--share) * 100%), var(--rule)); }
.axes .trial:hover { stroke: var(--ink); stroke-width: 3; }
.axes .best { stroke: var(--good); stroke-width: 3; }
.bar { display: inline-block; height: 10px; min-width: 1px; background: var(--busy); border-radius: 2px; }
"""
MOST_LINES: Final = 1000
_STEP, _MARGIN, _TOP, _BOTTOM, _HEIGHT = 118, 56, 44, 236, 264
_NAME_LENGTH = 17
_LOG_RATIO = 20
"""Positive numbers that span this ratio may have a logarithmic axis."""
_MOST_TICKS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One trial."""

    name: str
    link: str
    parameters: Mapping[str, Any]
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    name: str
    ticks: Sequence[tuple[str, float]]
    """Labels and their places, from 0 at the bottom to 1."""
    places: Sequence[float]
    """Of each point."""


def parallel_coordinates(points: Sequence[Point], metric: str, *, minimize: bool) -> str:
    """The chart as SVG; empty where there are no two points or no parameter varies."""
    ranked = sorted(points, key=lambda point: point.value if minimize else -point.value)[:MOST_LINES]
    names = [name for name in _names(ranked) if len({_text(point.parameters.get(name)) for point in ranked}) > 1]
    if len(ranked) < 2 or not names:
        return ""
    axes = [_axis(name, [point.parameters.get(name) for point in ranked]) for name in names]
    axes.append(_axis(metric, [point.value for point in ranked]))
    width = 2 * _MARGIN + _STEP * (len(axes) - 1)
    # The best one is drawn last, over the others.
    lines = "".join(_line(point, axes, index, len(ranked)) for index, point in reversed(list(enumerate(ranked))))
    drawn = "".join(_drawn(axis, index) for index, axis in enumerate(axes))
    label = f"{len(ranked)} trials by {', '.join(names)} and {metric}"
    return (
        f'<div class="wide"><svg class="axes" role="img" aria-label="{escape(label)}" viewBox="0 0 {width} {_HEIGHT}" '
        f'style="min-width: {width}px; max-width: {width * 1.6:.0f}px">{lines}{drawn}</svg></div>'
    )


def _names(points: Sequence[Point]) -> list[str]:
    return list(dict.fromkeys(name for point in points for name in point.parameters))


def _axis(name: str, values: Sequence[Any]) -> Axis:
    numbers = [float(value) for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) < len(values) or len(set(numbers)) == 1:
        return _categories(name, values)
    low, high = min(numbers), max(numbers)
    places = [(value - low) / (high - low) for value in numbers]
    if low > 0 and high / low >= _LOG_RATIO:
        logarithmic = [math.log(value / low) / math.log(high / low) for value in numbers]
        # The scale on which they are spread more evenly is the one that they were drawn on.
        places = min(places, logarithmic, key=lambda each: abs(median(each) - 0.5))
    ticks = dict(zip(map(number, numbers), places, strict=True))
    if len(ticks) > _MOST_TICKS:
        ticks = {number(low): 0.0, number(high): 1.0}
    return Axis(name=name, ticks=tuple(ticks.items()), places=places)


def _categories(name: str, values: Sequence[Any]) -> Axis:
    texts = [_text(value) for value in values]
    kinds = sorted(set(texts))
    places = {text: index / (len(kinds) - 1) if len(kinds) > 1 else 0.5 for index, text in enumerate(kinds)}
    return Axis(name=name, ticks=tuple(places.items()), places=[places[text] for text in texts])


def _line(point: Point, axes: Sequence[Axis], rank: int, count: int) -> str:
    path = " L".join(f"{_x(index):g} {_y(axis.places[rank]):.1f}" for index, axis in enumerate(axes))
    told = [f"{name}={_text(value)}" for name, value in point.parameters.items()]
    title = escape(f"{point.name}: {', '.join(told)}: {number(point.value)}")
    share = 1 - 0.9 * rank / max(count - 1, 1)
    kind = "trial best" if rank == 0 else "trial"
    return (
        f'<a href="{escape(point.link)}"><path class="{kind}" style="--share: {share:.2f}" d="M{path}">'
        f"<title>{title}</title></path></a>"
    )


def _drawn(axis: Axis, index: int) -> str:
    x = _x(index)
    ends = {0.0: _BOTTOM + 16, 1.0: _TOP - 8}
    ticks = "".join(
        f'<text x="{x}" y="{ends.get(place, _y(place) + 4):.0f}">{escape(_short(text))}</text>'
        for text, place in axis.ticks
    )
    shown = escape(_short(axis.name.rpartition(".")[2]))
    name = f'<text class="name" x="{x}" y="16">{shown}<title>{escape(axis.name)}</title></text>'
    return f'<line class="axis" x1="{x}" y1="{_TOP}" x2="{x}" y2="{_BOTTOM}"/>{ticks}{name}'


def _x(index: int) -> int:
    return _MARGIN + index * _STEP


def _y(place: float) -> float:
    return _BOTTOM - place * (_BOTTOM - _TOP)


def _short(text: str) -> str:
    return text if len(text) <= _NAME_LENGTH else f"{text[: _NAME_LENGTH - 1]}…"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
