"""How many processes a node of a job has: one number for the targets and for the running side."""

from __future__ import annotations

from innereye_runtime.job.resolve import Job


def processes_of(job: Job) -> int | None:
    """The processes of each node: compute.processes, else one for each GPU. None: as many as the node has GPUs."""
    compute = job.manifest.compute
    if compute.processes is not None:
        return compute.processes
    match compute.gpus:
        case "none" | 0:
            return 1
        case "all":
            count = None
        case tuple():
            return len(compute.gpus)
        case _:
            count = compute.gpus
    most = job.arguments.get("max_num_gpus")
    if most is None or not isinstance(most.value, int) or most.value <= 0 or count is None:
        return count
    return min(count, most.value)
