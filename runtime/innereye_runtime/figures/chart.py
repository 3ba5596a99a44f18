"""Line charts as SVG text, from the standard library alone: the report's curves, and the files of `add_curve`.

A chart reads without any script: axes, a legend, and the range of each line as its tooltip. For the report's script it
carries its values and its scale in `data-` attributes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

Point = tuple[float, float]

WIDTH, HEIGHT = 360, 216
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 350, 28, 178
_BUCKETS = 200

_MANY = (
    "#0072b2 #d55e00 #007a5a #7c4d9e #b8007a #8a6d00 #00838f #c62828 #6d4c41 #455a64 #4f7d1f #3949ab",
    "#56b4e9 #f0a03c #2ec4a0 #c9a0e6 #ff7ac6 #d9c04a #4dd0e1 #ff8a80 #c9a892 #a9bcc6 #aed581 #9fa8ff",
)
"""For charts of many lines, on white and on near-black."""
MANY = 12

STYLE = """
svg.chart, .legend { --ink: #52525b; --grid: #e4e4e7; --train: #0072b2; --val: #d55e00; --test: #007a5a;
  --other: #7c4d9e; }
svg.chart { font: 11px system-ui, sans-serif; overflow: visible; }
@media (prefers-color-scheme: dark) { svg.chart, .legend { --ink: #a1a1aa; --grid: #303036; --train: #56b4e9;
  --val: #f0a03c; --test: #2ec4a0; --other: #c9a0e6; } }
svg.chart text { fill: var(--ink); }
svg.chart .grid { stroke: var(--grid); fill: none; }
svg.chart .mark { stroke: var(--ink); stroke-dasharray: 1 3; fill: none; }
svg.chart .line { fill: none; stroke: var(--hue); stroke-width: 1.8; stroke-linejoin: round; stroke-linecap: round; }
svg.chart .thin { stroke-width: 1; opacity: .45; }
svg.chart .guide { stroke: var(--ink); stroke-width: 1; stroke-dasharray: 4 4; opacity: .7; }
svg.chart .dot { fill: var(--hue); }
svg.chart .train, .legend .train { --hue: var(--train); } svg.chart .val, .legend .val { --hue: var(--val); }
svg.chart .test, .legend .test { --hue: var(--test); } svg.chart .other, .legend .other { --hue: var(--other); }
"""
"""Colours of Okabe and Ito, shaded so that each has a contrast of 3:1 or more on white and on near-black."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    name: str
    points: Sequence[Point]
    """Finite, by rising x."""
    hue: str = "other"
    """train, val, test, other, or s0, s1, ...: one of the colours for many lines."""
    kind: Literal["line", "thin", "guide"] = "line"


def style_of_many() -> str:
    """The style of the classes s0, s1, ...: a colour each."""
    light, dark = ("".join(f".s{n} {{ --hue: {hue}; }} " for n, hue in enumerate(hues.split())) for hues in _MANY)
    return f"{light}\n@media (prefers-color-scheme: dark) {{ {dark} }}\n"


def downsample(points: Sequence[Point], buckets: int = _BUCKETS) -> list[Point]:
    """At most 4 points for each of the `buckets` of equal count: its first, lowest, highest and last, in their order.

    So each extreme that the eye could find in the whole line is still in it.
    """
    if len(points) <= buckets * 4:
        return list(points)
    kept: list[Point] = []
    for bucket in range(buckets):
        start, end = (len(points) * edge // buckets for edge in (bucket, bucket + 1))
        chosen = range(start, end)
        lowest = min(chosen, key=lambda index: points[index][1])
        highest = max(chosen, key=lambda index: points[index][1])
        kept += [points[index] for index in sorted({start, lowest, highest, end - 1})]
    return kept


def line_chart(
    lines: Sequence[Line],
    *,
    title: str,
    x_label: str,
    y_label: str = "",
    marks: Mapping[float, str] | None = None,
    legend: bool = True,
) -> str:
    """An `<svg>` of the lines over one pair of axes. `marks` are vertical lines, by x, with the text beside them.
    `legend`: with the names of several lines above them.

    The y axis is logarithmic where all values are positive and span more than three decades; it says so.
    """
    points = [point for line in lines for point in line.points]
    xs, ys = [x for x, _ in points], [y for _, y in points]
    logarithmic = min(ys) > 0 and max(ys) / min(ys) > 1000
    x_axis = _Axis.of(min(xs), max(xs), _LEFT, _RIGHT, whole=all(x == int(x) for x in xs), snap=False)
    y_axis = _Axis.log(min(ys), max(ys), _BOTTOM, _TOP) if logarithmic else _Axis.of(min(ys), max(ys), _BOTTOM, _TOP)
    label = f"{y_label} (log scale)".strip() if logarithmic else y_label
    named = [line for line in lines if line.kind != "guide"]
    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" xmlns="http://www.w3.org/2000/svg" role="img"'
        f' aria-label="{escape(title)}" data-x="{x_axis.data}" data-y="{y_axis.data}">',
        *_axes(x_axis, y_axis, x_label, label),
        *_marks(marks or {}, lines, x_axis, y_axis),
        *(_line(line, x_axis, y_axis) for line in lines),
        *(_legend(named) if legend and len(named) > 1 else ()),
        "</svg>",
    ]
    return "".join(parts)


def sparkline(points: Sequence[Point]) -> str:
    """An `<svg>` of one line without axes, in the colour of the text around it."""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    across, up = (max(values) - min(values) or 1.0 for values in (xs, ys))
    path = "L".join(f"{(x - min(xs)) / across * 120:.0f} {22 - (y - min(ys)) / up * 20:.0f}" for x, y in points)
    return f'<svg class="spark" viewBox="0 0 120 24" role="img"><path d="M{path}"/></svg>'


def curve(data: Mapping[str, Any], *, title: str) -> str:
    """The `<svg>` of what `figures.add_curve` keeps: `points`, `guide`, `x_label`, `y_label`."""
    lines = [Line(name=data["y_label"] or "y", points=data["points"], hue="train")]
    if data["guide"]:
        lines.insert(0, Line(name="guide", points=data["guide"], kind="guide"))
    return line_chart(lines, title=title, x_label=data["x_label"], y_label=data["y_label"])


def standalone(svg: str) -> str:
    """The chart as a file of its own, with its colours inside."""
    head, rest = svg.split(">", 1)
    return f'{head} width="{WIDTH * 2}"><style>{STYLE}</style>{rest}\n'


def number(value: float) -> str:
    """A value to four significant digits, as short as it can be said."""
    text = f"{value:.4g}"
    if "e" in text:
        mantissa, exponent = text.split("e")
        return f"{mantissa}e{int(exponent)}"
    return text


@dataclass(frozen=True, slots=True)
class _Axis:
    low: float
    high: float
    start: float
    """Pixel of `low`."""
    end: float
    ticks: tuple[float, ...]
    logarithmic: bool = False

    @classmethod
    def of(cls, low: float, high: float, start: float, end: float, *, whole: bool = False, snap: bool = True) -> _Axis:
        """An axis with 3 to 6 round ticks. `snap`: it ends with a tick, not with the values."""
        if low == high:
            margin = 0.5 if whole else abs(low) * 0.1 or 1.0
            low, high = low - margin, high + margin
        if not whole and (missing := 4 * _resolution(max(abs(low), abs(high))) - (high - low)) > 0:
            low, high = low - missing / 2, high + missing / 2  # closer ticks would have equal labels
        step = _round_step((high - low) / 5, whole=whole)
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        ticks = tuple(round(index * step, 12) for index in range(first, last + 1))
        if snap:
            return cls(ticks[0], ticks[-1], start, end, ticks)
        return cls(low, high, start, end, tuple(tick for tick in ticks if low <= tick <= high))

    @classmethod
    def log(cls, low: float, high: float, start: float, end: float) -> _Axis:
        first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
        every = math.ceil((last - first) / 5)
        ticks = tuple(10.0**power for power in range(first, last + 1, every))
        return cls(10.0**first, 10.0**last, start, end, ticks, logarithmic=True)

    def __call__(self, value: float) -> float:
        low, high = self.low, self.high
        if self.logarithmic:
            value, low, high = math.log10(value), math.log10(low), math.log10(high)
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    @property
    def data(self) -> str:
        return f"{self.low:.12g} {self.high:.12g} {self.start:g} {self.end:g}{' log' if self.logarithmic else ''}"


def _resolution(value: float) -> float:
    """The smallest difference that `number` shows between values of this size."""
    return 10.0 ** (math.floor(math.log10(value)) - 3)


def _round_step(about: float, *, whole: bool) -> float:
    """1, 2 or 5 times a power of ten, next to `about` from above; at least 1 where only whole numbers occur."""
    power = 10.0 ** math.floor(math.log10(about))
    step = next((factor * power for factor in (1, 2, 5) if factor * power >= about * 0.999), 10 * power)
    return max(step, 1.0) if whole else step


def _axes(x_axis: _Axis, y_axis: _Axis, x_label: str, y_label: str) -> list[str]:
    rules = "".join(f"M{_LEFT} {y_axis(tick):.1f}H{_RIGHT}" for tick in y_axis.ticks)
    parts = [f'<path class="grid" d="{rules}"/>']
    parts += [_text(_LEFT - 7, y_axis(tick) + 4, number(tick), "end", "y-tick") for tick in y_axis.ticks]
    parts += [_text(x_axis(tick), _BOTTOM + 16, _tick(tick), "middle", "x-tick") for tick in x_axis.ticks]
    if x_label:
        parts.append(_text((_LEFT + _RIGHT) / 2, HEIGHT - 6, x_label, "middle", "x-label"))
    if y_label:
        parts.append(_text(4, 14, y_label, "start"))
    return parts


def _tick(value: float) -> str:
    """Steps in their thousands stay short: 20k, 1.5M."""
    for size, unit in ((1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            scale = 1e6 if unit == "M" else 1e3
            return f"{value / scale:g}{unit}"
    return number(value)


def _marks(marks: Mapping[float, str], lines: Sequence[Line], x_axis: _Axis, y_axis: _Axis) -> list[str]:
    """Vertical rules; the text of each at the end that is farther from the first line, where no other text is."""
    parts = []
    taken: list[tuple[float, float, float]] = []
    for at, text in marks.items():
        if x_axis.low <= at <= x_axis.high:
            x = x_axis(at)
            left = x > (_LEFT + _RIGHT) / 2
            value = min(lines[0].points, key=lambda point: abs(point[0] - at))[1]
            width = 6.2 * len(text) + 8
            start = x - width if left else x
            ends = [_TOP + 9, _BOTTOM - 5] if y_axis(value) > (_TOP + _BOTTOM) / 2 else [_BOTTOM - 5, _TOP + 9]
            free = (
                y
                for y in ends
                if all(y != height or start > high or start + width < low for low, high, height in taken)
            )
            y = next(free, ends[0] + 13)
            taken.append((start, start + width, y))
            label = _text(x - 4 if left else x + 4, y, text, "end" if left else "start")
            rule = f'<path class="mark" d="M{x:.1f} {_TOP}V{_BOTTOM}"/>'
            parts.append(f'<g class="marked" data-at="{at:.8g}">{rule}{label}</g>')
    return parts


def _line(line: Line, x_axis: _Axis, y_axis: _Axis) -> str:
    pixels = [f"{x_axis(x):.1f} {y_axis(y):.1f}" for x, y in line.points]
    if line.kind == "guide":
        return f'<path class="guide line" d="M{"L".join(pixels)}"/>'
    lowest = min(line.points, key=lambda point: point[1])
    highest = max(line.points, key=lambda point: point[1])
    span = f"{line.name}: {number(lowest[1])} to {number(highest[1])}, last {number(line.points[-1][1])}"
    values = " ".join(f"{x:.8g},{y:.5g}" for x, y in line.points)
    # A lone point has no length to be seen by.
    dots = "".join(
        f'<circle class="dot" cx="{x_axis(x):.1f}" cy="{y_axis(y):.1f}" r="3"/>'
        for x, y in (line.points if len(line.points) == 1 else ())
    )
    return (
        f'<g class="series {line.hue}" data-name="{escape(line.name)}" data-points="{values}">'
        f'<title>{escape(span)}</title><path class="line {line.kind}" d="M{"L".join(pixels)}"/>{dots}</g>'
    )


def _legend(lines: Sequence[Line]) -> list[str]:
    """Swatch and name of each line, set from the right end of the top edge; a name that would be too long is cut."""
    parts: list[str] = []
    right = float(_RIGHT)
    for line in reversed(lines):
        name = line.name if len(line.name) <= 24 else line.name[:23] + "…"
        width = 6.2 * len(name)
        parts.append(_text(right, 14, name, "end"))
        parts.append(f'<g class="{line.hue}"><path class="line {line.kind}" d="M{right - width - 20:.1f} 10h14"/></g>')
        right -= width + 34
    return parts


def _text(x: float, y: float, text: str, anchor: str, kind: str = "") -> str:
    style = f' class="{kind}"' if kind else ""
    return f'<text{style} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
