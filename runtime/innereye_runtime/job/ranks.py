"""Which of the processes of a job this one is, from the variables that launchers set: one table of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from innereye_runtime.errors import UsageError
from innereye_runtime.job.rank_end import VARIABLE as OWN

PORT: Final = "6105"
"""For a launcher that names none; the InnerEye toolbox had the same."""
STARTED_BY: Final = "INNEREYE_RUNTIME_STARTED_BY"
"""Names the launcher where its numbers were handed on in the variables of torchrun."""
_MASTERS: Final = ("AZ_BATCH_MASTER_NODE", "AZ_BATCHAI_MPI_MASTER_NODE", "AZ_BATCHAI_JOB_MASTER_NODE_IP", "MASTER_IP")
"""Where Azure Batch, AzureML and AKS name the first node, be it as HOST:PORT."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launcher:
    """The names of a launcher's variables. It is at work where `marks` are all set."""

    name: str
    marks: tuple[str, ...]
    global_rank: str = ""
    local_rank: str = ""
    node_rank: tuple[str, ...] = ()
    """The first that is set counts."""
    processes: str = ""
    local_processes: str = ""
    by_torch: bool = False
    """The names are those that PyTorch and Lightning read."""


_NODE_RANK: Final = ("NODE_RANK", "GROUP_RANK")
_TORCH: Final = Launcher(
    name="torchrun",
    marks=("RANK",),
    global_rank="RANK",
    local_rank="LOCAL_RANK",
    node_rank=_NODE_RANK,
    processes="WORLD_SIZE",
    local_processes="LOCAL_WORLD_SIZE",
    by_torch=True,
)
LAUNCHERS: Final = (
    # `innereye_runtime.launch`, which sets the variables of torchrun.
    replace(_TORCH, name="innereye-runtime", marks=("RANK", OWN)),
    # And AzureML's PyTorch distribution: https://docs.pytorch.org/docs/stable/elastic/run.html#environment-variables
    _TORCH,
    # The further processes of a node, that Lightning starts itself.
    Launcher(
        name="Lightning",
        marks=("LOCAL_RANK",),
        local_rank="LOCAL_RANK",
        node_rank=_NODE_RANK,
        processes="WORLD_SIZE",
        local_processes="LOCAL_WORLD_SIZE",
        by_torch=True,
    ),
    # https://docs.open-mpi.org/en/main/tuning-apps/environment-var.html
    Launcher(
        name="Open MPI",
        marks=("OMPI_COMM_WORLD_RANK",),
        global_rank="OMPI_COMM_WORLD_RANK",
        local_rank="OMPI_COMM_WORLD_LOCAL_RANK",
        processes="OMPI_COMM_WORLD_SIZE",
        local_processes="OMPI_COMM_WORLD_LOCAL_SIZE",
    ),
    # Hydra, also MPICH's. It may itself be started by Slurm, whose ranks are those of its daemons then.
    Launcher(
        name="Intel MPI",
        marks=("PMI_RANK", "MPI_LOCALRANKID"),
        global_rank="PMI_RANK",
        local_rank="MPI_LOCALRANKID",
        processes="PMI_SIZE",
        local_processes="MPI_LOCALNRANKS",
    ),
    # https://slurm.schedmd.com/srun.html#SECTION_OUTPUT-ENVIRONMENT-VARIABLES
    Launcher(
        name="Slurm",
        marks=("SLURM_PROCID",),
        global_rank="SLURM_PROCID",
        local_rank="SLURM_LOCALID",
        node_rank=("SLURM_NODEID",),
        processes="SLURM_NTASKS",
        local_processes="SLURM_NTASKS_PER_NODE",
    ),
    Launcher(name="MPI", marks=("PMI_RANK",), global_rank="PMI_RANK", processes="PMI_SIZE"),
    # One process on each node, each by hand.
    *(
        Launcher(name=f"a launcher that sets {name}", marks=(name,), node_rank=_NODE_RANK, by_torch=True)
        for name in _NODE_RANK
    ),
)
"""The first that is at work counts: one that was started by another sets its own variables beside the other's."""

VARIABLES: Final = frozenset(
    name
    for each in LAUNCHERS
    for name in (*each.marks, each.global_rank, each.local_rank, *each.node_rank, each.processes, each.local_processes)
    if name
) | {"SLURM_NNODES", "TORCHELASTIC_RUN_ID", STARTED_BY}
"""All that says which process of several this one is. A job that is one process of its own is started without them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranks:
    """The place of this process among the processes of a job; all count from 0."""

    global_rank: int = 0
    local_rank: int = 0
    node_rank: int = 0
    nodes: int = 1
    processes: int = 1
    """All that the launcher started, as far as it says."""
    local_processes: int = 1
    """Those of them on this node."""
    launcher: Launcher | None = None

    @property
    def is_first(self) -> bool:
        """True for the one process that writes the run folder."""
        return self.global_rank == 0

    @property
    def is_first_on_node(self) -> bool:
        return self.local_rank == 0

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], *, nodes: int = 1) -> Ranks:
        """The ranks that the launcher of this process gave to it.

        Raises:
            UsageError: one of them is not a number.
        """
        started_by = environment.get(STARTED_BY)
        found = (each for each in LAUNCHERS if all(environment.get(name) for name in each.marks))
        launcher = next((each for each in LAUNCHERS if each.name == started_by), None) or next(found, None)
        if launcher is None:
            return cls(nodes=nodes)
        local_rank = _number(environment, launcher.local_rank)
        local_processes = max(_number(environment, launcher.local_processes), 1)
        named = next((name for name in launcher.node_rank if environment.get(name)), "")
        if launcher.global_rank:
            global_rank = _number(environment, launcher.global_rank)
            node_rank = _number(environment, named) if named else global_rank // local_processes
        else:
            # Without the number of processes on a node the global rank can't be known; any above 0 will do for them.
            node_rank = _number(environment, named)
            global_rank = node_rank * local_processes + local_rank
        return cls(
            global_rank=global_rank,
            local_rank=local_rank,
            node_rank=node_rank,
            nodes=nodes,
            processes=max(_number(environment, launcher.processes), 1),
            local_processes=local_processes,
            launcher=launcher,
        )

    def variables(self, environment: Mapping[str, str]) -> dict[str, str]:
        """What `environment` lacks for Lightning to find these ranks in it: the variables that torchrun sets.

        Raises:
            UsageError: there are several nodes, and none is named as the first.
        """
        if self.launcher is None or self.processes == 1:
            return {}
        by_slurm = self.launcher.name == "Slurm"
        wanted = {} if by_slurm else self._address(environment)  # Lightning asks Slurm itself
        if not self.launcher.by_torch:
            wanted["NODE_RANK"] = str(self.node_rank)
            if self.local_processes > 1 or by_slurm:  # else Lightning starts further processes of the node, if any
                wanted |= {"RANK": str(self.global_rank), "LOCAL_RANK": str(self.local_rank)}
                wanted |= {"WORLD_SIZE": str(self.processes), "LOCAL_WORLD_SIZE": str(self.local_processes)}
                wanted[STARTED_BY] = self.launcher.name
        return {name: value for name, value in wanted.items() if name not in environment}

    def _address(self, environment: Mapping[str, str]) -> dict[str, str]:
        named = next((environment[name] for name in _MASTERS if environment.get(name)), "")
        host = environment.get("MASTER_ADDR") or named.rpartition(":")[0] or named
        if not host and self.processes == self.local_processes:
            host = "127.0.0.1"
        if host:
            return {"MASTER_ADDR": host, "MASTER_PORT": PORT}
        if self.launcher is None or self.launcher.by_torch:
            return {}
        raise UsageError(
            f"{self.launcher.name} started {self.processes} processes on several nodes, and nothing names the first",
            hint="set MASTER_ADDR to the first node's name for all of them, as in mpirun -x MASTER_ADDR=node1",
        )


def _number(environment: Mapping[str, str], name: str) -> int:
    text = environment.get(name) or "0"
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"{name} must be a whole number, not '{text}'", hint=f"unset {name}, or correct it") from None
