"""Sizes and times: what each unit is worth, and how a value is written again."""

from __future__ import annotations

import pytest

from innereye_runtime.manifest.units import Duration, Memory


@pytest.mark.parametrize(
    ("text", "size", "written"),
    [
        ("7", 7, "7b"),
        ("7b", 7, "7b"),
        ("1k", 1024, "1k"),
        ("3 KiB", 3 * 1024, "3k"),
        ("512m", 512 * 1024**2, "512m"),
        ("1024MB", 1024**3, "1g"),
        (" 2g ", 2 * 1024**3, "2g"),
        ("1.5t", 1536 * 1024**3, "1536g"),
        ("2T", 2 * 1024**4, "2t"),
        ("8388607t", 8388607 * 1024**4, "8388607t"),
    ],
)
def test_a_size_is_counted_in_powers_of_1024(text: str, size: int, written: str) -> None:
    assert Memory.parse(text) == Memory(size)
    assert str(Memory(size)) == written
    assert Memory.parse(written) == Memory(size)


@pytest.mark.parametrize(
    ("text", "seconds", "written"),
    [
        ("45s", 45, "45s"),
        ("90m", 5400, "1h30m"),
        ("2 H", 7200, "2h"),
        ("1h30m", 5400, "1h30m"),
        ("0.5h", 1800, "30m"),
        ("1d 1h 1m 1s", 90061, "1d1h1m1s"),
        ("36500d", 36500 * 86400, "36500d"),
    ],
)
def test_a_time_is_the_sum_of_its_parts(text: str, seconds: int, written: str) -> None:
    assert Duration.parse(text) == Duration(seconds)
    assert str(Duration(seconds)) == written
    assert Duration.parse(written) == Duration(seconds)


@pytest.mark.parametrize("text", ["", "g", "0g", "0.1b", "-1g", "1 x", "1gg", "8388608t", "2e", "1,5g", "9" * 400])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises((ValueError, OverflowError)):
        Memory.parse(text)


@pytest.mark.parametrize("text", ["", "5", "0s", "0.1s", "-1h", "1w", "2h30", "h", "1:30", "36501d", "9" * 400 + "h"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises((ValueError, OverflowError)):
        Duration.parse(text)


def test_sizes_and_times_have_an_order() -> None:
    assert Memory.parse("1g") > Memory.parse("1023m")
    assert Duration.parse("1h") > Duration.parse("59m")
