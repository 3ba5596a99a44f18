"""Which ranks a process of a job has to start on its machine, and the variables that each of them finds."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from innereye_runtime.errors import UsageError
from innereye_runtime.job.gpus import visible_gpus
from innereye_runtime.job.process_count import processes_of
from innereye_runtime.job.rank_end import VARIABLE
from innereye_runtime.job.ranks import PORT, STARTED_BY, VARIABLES, Ranks
from innereye_runtime.job.resolve import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Rank:
    """One process to be started."""

    number: int
    """Among all processes of the job."""
    local: int
    node: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RankGroup:
    """The ranks that one launcher starts."""

    ranks: tuple[Rank, ...]
    world_size: int
    variables: Mapping[str, str]
    """What each of them finds beside its own numbers."""
    as_it_is: bool = False
    """The numbers are there already, and the output is collected by whoever gave them."""

    def environment(self, rank: Rank, ends: Path, base: Mapping[str, str]) -> dict[str, str]:
        """All variables of `rank`: those of `base` but for another launcher's, and those that torchrun sets."""
        if self.as_it_is:
            return {**base, **self.variables, VARIABLE: str(ends)}
        own = {"RANK": rank.number, "LOCAL_RANK": rank.local, "NODE_RANK": rank.node, "GROUP_RANK": rank.node}
        return {
            **{name: value for name, value in base.items() if name not in VARIABLES},
            **self.variables,
            **{name: str(number) for name, number in own.items()},
            VARIABLE: str(ends),
        }


def group_to_start(ranks: Ranks, job: Job, environment: Mapping[str, str]) -> RankGroup | None:
    """The ranks that this process, itself `ranks`, has to start; None where it is the one that trains.

    With no launcher around it, it starts all of them. Started once on each node, it starts those of its node. A rank of
    torchrun or AzureML starts itself once more, so that somebody is there to say how it ended. What Lightning, Slurm
    and MPI start is left as it is.

    Raises:
        UsageError: there are several nodes, and nothing names the first.
    """
    launcher, nodes = ranks.launcher, job.manifest.compute.nodes
    if VARIABLE in environment or (launcher is not None and not launcher.by_torch):
        return None
    if launcher is not None and launcher.local_rank:
        if not launcher.global_rank or ranks.processes == 1:
            return None
        own = Rank(number=ranks.global_rank, local=ranks.local_rank, node=ranks.node_rank)
        variables = {STARTED_BY: launcher.name}
        return RankGroup(ranks=(own,), world_size=ranks.processes, variables=variables, as_it_is=True)
    processes = processes_of(job) or _count_gpus(environment)
    if processes * nodes == 1:
        return None
    if launcher is None:
        started = range(processes * nodes)
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": _free_port()}
    else:
        started = range(ranks.node_rank * processes, (ranks.node_rank + 1) * processes)
        address = _first_node(environment, nodes)
    sizes = {"WORLD_SIZE": str(processes * nodes), "LOCAL_WORLD_SIZE": str(processes)}
    return RankGroup(
        ranks=tuple(Rank(number=n, local=n % processes, node=n // processes) for n in started),
        world_size=processes * nodes,
        variables=address | sizes,
    )


def _first_node(environment: Mapping[str, str], nodes: int) -> dict[str, str]:
    host = environment.get("MASTER_ADDR") or ("127.0.0.1" if nodes == 1 else "")
    if not host:
        raise UsageError(
            f"compute.nodes is {nodes}, and nothing names the first node",
            hint="set MASTER_ADDR to the first node's name on all of them",
        )
    return {"MASTER_ADDR": host, "MASTER_PORT": environment.get("MASTER_PORT") or PORT}


def _free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def _count_gpus(environment: Mapping[str, str]) -> int:
    """The GPUs that a process of this machine sees: those of CUDA_VISIBLE_DEVICES, else all of the driver's. 1 where
    there is none: the process that trains reports that, and run.json has it."""
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return visible_gpus() or 1
    return len([name for name in visible.split(",") if name.strip() not in ("", "-1")]) or 1
