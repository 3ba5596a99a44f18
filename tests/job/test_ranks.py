"""Ranks, from the variables of the launchers that are in use."""

from __future__ import annotations

import pytest

from innereye_runtime.job.ranks import Ranks


@pytest.mark.parametrize(
    ("environment", "ranks"),
    [
        ({}, (0, 0, 0)),
        ({"LOCAL_RANK": "1", "NODE_RANK": "0"}, (1, 1, 0)),  # a further process that Lightning started
        (
            {"RANK": "3", "LOCAL_RANK": "1", "NODE_RANK": "1", "WORLD_SIZE": "4"},
            (3, 1, 1),
        ),  # AzureML's PyTorch distribution
        ({"RANK": "5", "LOCAL_RANK": "1", "GROUP_RANK": "2", "LOCAL_WORLD_SIZE": "2"}, (5, 1, 2)),  # torchrun
        ({"NODE_RANK": "1"}, (1, 0, 1)),  # the first process of a second node: not the first of all
    ],
)
def test_ranks(environment: dict[str, str], ranks: tuple[int, int, int]) -> None:
    found = Ranks.from_environment(environment)
    assert (found.global_rank, found.local_rank, found.node_rank) == ranks
    assert found.is_first == (ranks[0] == 0)
    assert found.is_first_on_node == (ranks[1] == 0)
