"""Ranks, from the variables of the launchers that are in use, as their documentation has them."""

from __future__ import annotations

import pytest

from innereye_runtime.errors import UsageError
from innereye_runtime.job.ranks import STARTED_BY, VARIABLES, Ranks

# The third process of four, on the second of two nodes.
TORCHRUN = {
    "RANK": "2",
    "LOCAL_RANK": "0",
    "GROUP_RANK": "1",
    "WORLD_SIZE": "4",
    "LOCAL_WORLD_SIZE": "2",
    "ROLE_RANK": "2",
    "TORCHELASTIC_RUN_ID": "x",
    "MASTER_ADDR": "node0",
    "MASTER_PORT": "29500",
}
AZUREML = {"RANK": "2", "LOCAL_RANK": "0", "NODE_RANK": "1", "WORLD_SIZE": "4", "AZ_BATCH_MASTER_NODE": "10.0.0.4:6000"}
OPEN_MPI = {
    "OMPI_COMM_WORLD_RANK": "2",
    "OMPI_COMM_WORLD_SIZE": "4",
    "OMPI_UNIVERSE_SIZE": "4",
    "OMPI_COMM_WORLD_LOCAL_RANK": "0",
    "OMPI_COMM_WORLD_LOCAL_SIZE": "2",
    "OMPI_COMM_WORLD_NODE_RANK": "0",
}
INTEL_MPI = {"PMI_RANK": "2", "PMI_SIZE": "4", "MPI_LOCALRANKID": "0", "MPI_LOCALNRANKS": "2"}
SLURM = {
    "SLURM_PROCID": "2",
    "SLURM_LOCALID": "0",
    "SLURM_NODEID": "1",
    "SLURM_NTASKS": "4",
    "SLURM_NNODES": "2",
    "SLURM_NTASKS_PER_NODE": "2",
    "SLURM_JOB_ID": "7",
    "SLURM_STEP_ID": "0",
}
IN_SLURM = {"SLURM_PROCID": "1", "SLURM_LOCALID": "0", "SLURM_NODEID": "1", "SLURM_NTASKS": "2"}
"""Of the daemon that a launcher has Slurm start on a node."""
# AzureML's MPI distribution and Azure Batch: one process a node, the second of two.
BATCH = {
    "OMPI_COMM_WORLD_RANK": "1",
    "OMPI_COMM_WORLD_SIZE": "2",
    "AZ_BATCH_MASTER_NODE": "10.0.0.4:6000",
    "OMPI_COMM_WORLD_LOCAL_RANK": "0",
    "OMPI_COMM_WORLD_LOCAL_SIZE": "1",
    "AZUREML_CR_NODE_RANK": "1",
}


@pytest.mark.parametrize(
    ("environment", "ranks", "processes"),
    [
        ({}, (0, 0, 0), 1),
        ({"LOCAL_RANK": "1", "NODE_RANK": "0", "WORLD_SIZE": "2"}, (1, 1, 0), 2),  # one that Lightning started
        (TORCHRUN, (2, 0, 1), 4),
        (TORCHRUN | IN_SLURM, (2, 0, 1), 4),
        (AZUREML, (2, 0, 1), 4),
        ({"RANK": "5", "LOCAL_RANK": "1", "GROUP_RANK": "2", "LOCAL_WORLD_SIZE": "2"}, (5, 1, 2), 1),
        (OPEN_MPI, (2, 0, 1), 4),
        (OPEN_MPI | IN_SLURM, (2, 0, 1), 4),
        (INTEL_MPI, (2, 0, 1), 4),
        (INTEL_MPI | IN_SLURM, (2, 0, 1), 4),
        (SLURM, (2, 0, 1), 4),
        (SLURM | {"PMI_RANK": "2", "PMI_SIZE": "4"}, (2, 0, 1), 4),  # srun --mpi=pmi2
        ({"PMI_RANK": "1", "PMI_SIZE": "2"}, (1, 0, 1), 2),
        (BATCH, (1, 0, 1), 2),
        ({"NODE_RANK": "1"}, (1, 0, 1), 1),  # the first process of a second node: not the first of all
        ({"RANK": "", "SLURM_PROCID": "", "LOCAL_RANK": ""}, (0, 0, 0), 1),
    ],
)
def test_ranks(environment: dict[str, str], ranks: tuple[int, int, int], processes: int) -> None:
    found = Ranks.from_environment(environment)
    assert (found.global_rank, found.local_rank, found.node_rank) == ranks
    assert found.processes == processes
    assert found.is_first == (ranks[0] == 0)
    assert found.is_first_on_node == (ranks[1] == 0)


HANDED_ON = {"RANK": "2", "LOCAL_RANK": "0", "NODE_RANK": "1", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2"}


@pytest.mark.parametrize(
    ("environment", "added"),
    [
        ({}, {}),
        (TORCHRUN, {}),
        (AZUREML, {"MASTER_ADDR": "10.0.0.4", "MASTER_PORT": "6105"}),
        (BATCH, {"NODE_RANK": "1", "MASTER_ADDR": "10.0.0.4", "MASTER_PORT": "6105"}),
        (
            OPEN_MPI | {"MASTER_ADDR": "node0", "MASTER_PORT": "1"},
            HANDED_ON | {STARTED_BY: "Open MPI"},
        ),
        (
            INTEL_MPI | {"PMI_RANK": "1", "PMI_SIZE": "2", "MPI_LOCALRANKID": "1"},  # of one node
            {
                "RANK": "1",
                "LOCAL_RANK": "1",
                "NODE_RANK": "0",
                "WORLD_SIZE": "2",
                "LOCAL_WORLD_SIZE": "2",
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": "6105",
                STARTED_BY: "Intel MPI",
            },
        ),
        (SLURM, HANDED_ON | {STARTED_BY: "Slurm"}),
    ],
)
def test_lightning_finds_the_ranks_of_every_launcher(environment: dict[str, str], added: dict[str, str]) -> None:
    found = Ranks.from_environment(environment)
    assert found.variables(environment) == added
    again = Ranks.from_environment(environment | added)
    assert (again.global_rank, again.local_rank, again.node_rank, again.processes) == (
        *(found.global_rank, found.local_rank, found.node_rank),
        found.processes,
    )
    assert again.launcher == found.launcher, "a message names the one that started the process"
    bare = {name: value for name, value in environment.items() if name not in VARIABLES}
    assert Ranks.from_environment(bare) == Ranks()


def test_what_can_not_be_known_is_told() -> None:
    with pytest.raises(UsageError, match="Open MPI started 4 processes on several nodes, and nothing names the first"):
        Ranks.from_environment(OPEN_MPI).variables(OPEN_MPI)
    with pytest.raises(UsageError, match="RANK must be a whole number, not 'one'"):
        Ranks.from_environment({"RANK": "one"})
