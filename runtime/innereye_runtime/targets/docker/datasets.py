"""The datasets of a container, which may neither mount nor open a store: the launcher brings them, and they are bound
read-only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from innereye_runtime.data.staging import StagedDataset
from innereye_runtime.targets.docker.request import Bind, DockerPlan, in_order


def with_datasets(plan: DockerPlan, staged: Sequence[StagedDataset]) -> DockerPlan:
    """The plan whose container has the folders that were brought, at the same paths, and knows of them."""
    folders = tuple(one.path for one in staged)
    points = [Bind(folder, target=point) for folder, point in zip(folders, plan.mountpoints, strict=False) if point]
    binds = {*plan.request.binds, *(Bind(folder) for folder in folders), *points}
    return replace(
        plan,
        request=replace(plan.request, binds=in_order(binds)),
        handover=replace(plan.handover, datasets=folders),
    )
