"""Charts as text: scales, ticks, thinning, and names that would like to be markup."""

from __future__ import annotations

import math
import random
import re
from xml.etree import ElementTree

import pytest

from innereye_runtime.figures.chart import Line, downsample, line_chart, number, standalone


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("text")]


def chart(*points: tuple[float, float], **options: str) -> str:
    return line_chart([Line(name="val", points=points)], title="t", x_label="epoch", **options)


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([(0, 0.12), (9, 0.93)], ["0", "0.2", "0.4", "0.6", "0.8", "1", "0", "2", "4", "6", "8", "epoch"]),
        ([(0, 3.0), (2, 3.0)], ["2.6", "2.8", "3", "3.2", "3.4", "0", "1", "2", "epoch"]),
        ([(0, 1e-9), (1, 3e-9)], ["1e-9", "1.5e-9", "2e-9", "2.5e-9", "3e-9", "0", "1", "epoch"]),
        (
            [(0, -5), (50000, 5)],
            ["-6", "-4", "-2", "0", "2", "4", "6", "0", "10k", "20k", "30k", "40k", "50k", "epoch"],
        ),
        ([(0, 1e-5), (4, 1.0)], ["1e-5", "0.0001", "0.001", "0.01", "0.1", "1", "0", "1", "2", "3", "4", "epoch"]),
    ],
    ids=["common", "constant", "tiny", "large steps", "log"],
)
def test_ticks_are_round(points: list[tuple[float, float]], expected: list[str]) -> None:
    shown = texts(chart(*points))
    assert [text for text in shown if text != "(log scale)"] == expected
    assert ("(log scale)" in shown) == (points[0][1] == 1e-5)


@pytest.mark.parametrize(
    ("low", "high"), [(0.009998, 0.01), (0.9991, 0.9998), (1234.5, 1234.9), (-5.0001, -5.0), (0, 3)]
)
def test_no_two_ticks_have_the_same_label(low: float, high: float) -> None:
    *labels, first, second, name = texts(chart((1, low), (2, high)))
    assert (first, second, name) == ("1", "2", "epoch")
    assert len(labels) >= 3
    assert len(set(labels)) == len(labels)


def test_lines_stay_inside_the_axes() -> None:
    svg = chart(*[(step, math.sin(step) * 1e4) for step in range(100)])
    (path,) = re.findall(r'class="line line" d="M([^"]+)"', svg)
    pixels = [tuple(map(float, pair.split())) for pair in path.split("L")]
    assert all(48 <= x <= 350 and 28 <= y <= 178 for x, y in pixels)
    assert len(pixels) == 100


def test_thinning_keeps_every_extreme_and_both_ends() -> None:
    random.seed(1)
    points = [(float(step), random.random()) for step in range(100_000)]
    points[54_321] = (54_321.0, 100.0)
    points[7] = (7.0, -100.0)
    thinned = downsample(points)
    assert len(thinned) <= 800
    assert {points[0], points[7], points[54_321], points[-1]} <= set(thinned)
    assert thinned == sorted(thinned)
    assert downsample(points[:800]) == points[:800]


def test_a_hostile_name_stays_text() -> None:
    name = "</title><script>alert(1)</script>\"'&"
    lines = [Line(name=name, points=[(0, 1), (1, 2)]), Line(name="b", points=[(0, 1)])]
    svg = line_chart(lines, title=name, x_label=name, y_label=name, marks={1: name})
    assert "<script" not in svg
    root = ElementTree.fromstring(svg)
    assert root.get("aria-label") == name
    assert texts(svg).count(name) == 3


def test_a_lone_point_is_a_dot() -> None:
    assert "<circle" in chart((3, 0.5))
    assert "<circle" not in chart((3, 0.5), (4, 0.5))


def test_marks_outside_the_axis_are_left_out() -> None:
    svg = line_chart([Line(name="a", points=[(0, 1), (9, 2)])], title="t", x_label="", marks={8: "best", 12: "beyond"})
    assert "best" in texts(svg)
    assert "beyond" not in texts(svg)


def test_a_drawing_of_its_own_is_valid_xml_with_a_size() -> None:
    root = ElementTree.fromstring(standalone(chart((0, 1), (1, 2))))
    assert root.get("width") == "720"


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.123456, "0.1235"), (12345.6, "1.235e4"), (3.0, "3"), (1e-7, "1e-7"), (float("nan"), "nan")],
)
def test_numbers_are_short(value: float, expected: str) -> None:
    assert number(value) == expected
