"""How many processes a node of a job has: one number for the targets and for the running side."""

from __future__ import annotations

from innereye_runtime.errors import UsageError
from innereye_runtime.job.resolve import Job


def processes_of(job: Job) -> int | None:
    """The processes of each node: compute.processes, else one for each GPU. None: as many as the node has GPUs.

    Raises:
        UsageError: the container takes fewer GPUs than there are to be processes.
    """
    compute = job.manifest.compute
    if compute.gpus in ("none", 0):
        return compute.processes or 1
    most = _most_gpus(job)
    if compute.processes is not None:
        if most is not None and compute.processes > most:
            raise UsageError(
                f"compute.processes is {compute.processes}, and max_num_gpus of {job.model_name} is {most}",
                hint="one GPU trains one process: raise --max_num_gpus, or lower compute.gpus and compute.processes",
            )
        return compute.processes
    if compute.gpus == "all":
        return None
    if isinstance(compute.gpus, tuple):
        return len(compute.gpus)
    return int(compute.gpus) if most is None else min(int(compute.gpus), most)


def _most_gpus(job: Job) -> int | None:
    given = job.arguments.get("max_num_gpus")
    return given.value if given is not None and isinstance(given.value, int) and given.value > 0 else None
