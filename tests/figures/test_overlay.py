"""The pixels of an overlay: areas, outlines, legend."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from innereye_runtime.figures.overlay import PALETTE, label_map, overlay

SIZE = 64
IMAGE = np.tile(np.linspace(0, 1000, SIZE), (SIZE, 1))


def square(start: int, stop: int, label: int = 1) -> Any:
    labels = np.zeros((SIZE, SIZE), dtype=int)
    labels[start:stop, start:stop] = label
    return labels


def pixels(*args: Any) -> Any:
    return np.asarray(overlay(*args)).astype(int)


def test_areas_are_mixed_with_the_image_and_outlined_in_their_colour() -> None:
    drawn = pixels(IMAGE, square(20, 40), None, ["tumour"])
    plain = pixels(IMAGE, square(0, 0), None, [])
    scale = 640 // SIZE
    inside, border, outside = (row * scale + scale // 2 for row in (30, 20, 10))
    assert drawn[inside, inside].tolist() == pytest.approx(
        (0.55 * plain[inside, inside] + 0.45 * np.array(PALETTE[0])).round().tolist(), abs=1
    )
    assert drawn[border - scale // 2, inside].tolist() == list(PALETTE[0])
    assert (drawn[outside, outside] == plain[outside, outside]).all()


def test_with_a_reference_the_outline_is_the_reference_s() -> None:
    drawn = pixels(IMAGE, square(20, 40), square(24, 48), ["tumour"])
    at = [24 * 10, 24 * 10 + 100]
    assert drawn[at[0], at[1]].tolist() == list(PALETTE[0])
    assert drawn[48 * 10 - 1, 300].tolist() == list(PALETTE[0])
    assert drawn[20 * 10, 300].tolist() != list(PALETTE[0])


def test_two_labels_have_two_colours() -> None:
    drawn = pixels(IMAGE, square(5, 20) + square(30, 50, label=2), None, {1: "a", 2: "b"})
    assert drawn[50, 100].tolist() == list(PALETTE[0])
    assert drawn[300, 400].tolist() == list(PALETTE[1])


def test_the_legend_is_below_and_grows_with_the_names() -> None:
    none, short, many = (
        overlay(IMAGE, labels, None, names).size
        for labels, names in (
            (square(0, 0), []),
            (square(5, 9), ["a"]),
            (sum(square(i * 4, i * 4 + 3, i + 1) for i in range(9)), ["a long name of a tissue"] * 9),
        )
    )
    assert none == (640, 640)
    assert 640 == short[0] == many[0]
    assert 640 < short[1] < many[1]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([[0, 2], [1, 0]], [0, 2, 1, 0]),
        ([[False, True], [True, False]], [0, 1, 1, 0]),
        ([[0.0, 2.0], [1.0, 0.0]], [0, 2, 1, 0]),
        ([[0.2, 0.7], [0.5, 0.51]], [0, 1, 0, 1]),
        ([[[0.2, 0.7], [0.6, 0.1]], [[0.3, 0.2], [0.7, 0.45]]], [0, 1, 2, 0]),
        ([[[[0, 2], [1, 0]]]], [0, 2, 1, 0]),
    ],
    ids=["labels", "booleans", "labels as floats", "probabilities", "channels", "batch of one"],
)
def test_labels_come_in_several_forms(labels: Any, expected: list[int]) -> None:
    assert label_map(np.array(labels)).ravel().tolist() == expected


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="the labels are 2 x 2, the image 64 x 64"):
        overlay(IMAGE, np.zeros((2, 2), dtype=int), None, [])
    with pytest.raises(ValueError, match="the reference are 2 x 2"):
        overlay(IMAGE, square(1, 2), np.zeros((2, 2), dtype=int), [])
    with pytest.raises(ValueError, match="not -1"):
        overlay(IMAGE, square(1, 2, -1), None, [])
    with pytest.raises(ValueError, match="H x W"):
        overlay(np.zeros((2, 3, 4)), square(1, 2), None, [])


def test_an_image_without_contrast_or_numbers_is_drawn() -> None:
    for image in (np.zeros((SIZE, SIZE)), np.full((SIZE, SIZE), np.nan)):
        assert overlay(image, square(1, 9), None, []).width == 640
