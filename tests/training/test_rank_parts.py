"""The parts of the ranks: whatever the first one has, each gets its own state from the one checkpoint."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from innereye_runtime.training.checkpoints import rank_parts

STATES = st.dictionaries(
    st.sampled_from("abc"),
    st.recursive(
        st.none() | st.integers(0, 3),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xyz"), inner, max_size=3),
        max_leaves=6,
    ),
    min_size=1,
    max_size=3,
)


class SecondOfTwo:
    """What the first of two ranks has is known; what the second gives is kept."""

    rank, size = 1, 2

    def __init__(self, first: Any) -> None:
        self._first = first
        self.given = b""

    def of_first(self, own: Any) -> Any:
        return dict(rank_parts._nodes(self._first))

    def collect(self, own: bytes) -> list[bytes]:
        self.given = own
        return []


def put_together(first: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """What the second rank reads of a checkpoint of both."""
    world: Any = SecondOfTwo(first)
    rank_parts._collected(own, world)
    part = torch.frombuffer(bytearray(world.given), dtype=torch.uint8)
    checkpoint = {**deepcopy(first), rank_parts.PARTS: {"processes": 2, "parts": {1: part}}}
    rank_parts.put_in_place(checkpoint, 1, 2)
    return checkpoint


@given(first=STATES, own=STATES)
def test_each_rank_gets_its_own_state(first: dict[str, Any], own: dict[str, Any]) -> None:
    assert put_together(first, own) == own


@pytest.mark.parametrize(
    ("first", "own"),
    [
        ({"metrics": {"step": {"said": {"a": 1}, "sync": {}}}}, {"metrics": {}}),  # logged on the first rank alone
        ({"metrics": {"step": {"said": {"a": 1}}, "x": 1}}, {"metrics": {"x": 1}}),
        ({"best": None}, {"best": [1, {"a": 2}]}),
        ({"queue": [1, {"a": 1}, [2]]}, {"queue": [1]}),
    ],
)
def test_what_only_one_of_them_has_is_not_left_in_parts(first: dict[str, Any], own: dict[str, Any]) -> None:
    assert put_together(first, own) == own
