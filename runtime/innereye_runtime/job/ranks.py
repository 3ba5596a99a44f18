"""Which of the processes of a job this one is, from the variables that launchers set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranks:
    """The place of this process among the processes of a job; all count from 0."""

    global_rank: int = 0
    local_rank: int = 0
    node_rank: int = 0
    nodes: int = 1

    @property
    def is_first(self) -> bool:
        """True for the one process that writes the run folder."""
        return self.global_rank == 0

    @property
    def is_first_on_node(self) -> bool:
        return self.local_rank == 0

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], *, nodes: int = 1) -> Ranks:
        """The ranks that torchrun, AzureML's PyTorch distribution or Lightning's own launcher gave to this process.

        Lightning starts the further processes of a node with LOCAL_RANK and NODE_RANK alone, so a process without RANK
        counts as the first only where both are 0. Source: the environment contract of torchrun
        (https://docs.pytorch.org/docs/stable/elastic/run.html#environment-variables).
        """
        local_rank = int(environment.get("LOCAL_RANK", "0"))
        node_rank = int(environment.get("NODE_RANK", environment.get("GROUP_RANK", "0")))
        processes = int(environment.get("LOCAL_WORLD_SIZE", "0"))
        # Without the number of processes on a node the global rank can't be told; any number above 0 will do for them.
        fallback = node_rank * max(processes, 1) + local_rank
        return cls(
            global_rank=int(environment.get("RANK", str(fallback))),
            local_rank=local_rank,
            node_rank=node_rank,
            nodes=nodes,
        )
