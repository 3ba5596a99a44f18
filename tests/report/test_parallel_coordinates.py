"""Trials as lines over parallel axes: which axes there are, where a value lies, and which line is the best one."""

from __future__ import annotations

import re
from typing import Any

from innereye_runtime.report.parallel_coordinates import Point, parallel_coordinates


def point(index: int, value: float, **parameters: Any) -> Point:
    return Point(name=f"{index:03}", link=f"s/trials/{index:03}/report.html", parameters=parameters, value=value)


def heights(svg: str) -> list[list[float]]:
    """The places of each line on the axes, from 0 at the bottom to 1; lines as they are drawn, the best one last."""
    lines = [re.findall(r"[\d.]+ ([\d.]+)", path) for path in re.findall(r' d="M([^"]+)"', svg)]
    return [[round((236 - float(y)) / 192, 2) for y in line] for line in lines]


def test_numbers_categories_and_the_metric_have_axes_and_what_does_not_vary_has_none() -> None:
    points = [
        *(point(0, 3.0, rate=1e-4, kind="b", same=1), point(1, 1.0, rate=1e-3, kind="a", same=1)),
        *(point(2, 2.0, rate=1e-2, kind="c", same=1), point(3, 4.0, rate=1e-1, kind="c", same=1)),
    ]
    svg = parallel_coordinates(points, "val/loss", minimize=True)
    assert re.findall(r'class="name"[^>]*>([^<]+)<', svg) == ["rate", "kind", "val/loss"]
    assert heights(svg) == [[1, 1, 1], [0, 0.5, 0.67], [0.67, 1, 0.33], [0.33, 0, 0]]
    (best,) = re.findall(r'<a href="([^"]+)"><path class="trial best"', svg)
    assert best == "s/trials/001/report.html"
    assert "<title>001: rate=0.001, kind=a, same=1: 1</title>" in svg
    upwards = parallel_coordinates(points, "val/loss", minimize=False)
    assert re.findall(r'<a href="([^"]+)"><path class="trial best"', upwards) == ["s/trials/003/report.html"]


def test_numbers_that_are_even_on_a_linear_scale_stay_there() -> None:
    points = [point(index, float(index), x=0.05 + index) for index in range(5)]
    assert heights(parallel_coordinates(points, "f", minimize=True))[0] == [1, 1]
    assert [line[0] for line in heights(parallel_coordinates(points, "f", minimize=False))] == [0, 0.25, 0.5, 0.75, 1]


def test_names_are_text_and_a_single_trial_or_equal_ones_have_no_chart() -> None:
    points = [point(0, 1.0, x="<script>"), point(1, 2.0, x='"&')]
    svg = parallel_coordinates(points, "a<b", minimize=True)
    assert "<script>" not in svg and "&lt;script&gt;" in svg and "a&lt;b" in svg
    assert parallel_coordinates(points[:1], "f", minimize=True) == ""
    assert parallel_coordinates([point(0, 1.0, x=1), point(1, 2.0, x=1)], "f", minimize=True) == ""
