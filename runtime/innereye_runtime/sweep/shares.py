"""The share of this machine that each trial of a sweep gets: how many run at a time, on which GPUs, with how many
threads.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace

from innereye_runtime.job.gpus import visible_gpus
from innereye_runtime.manifest.model import Manifest
from innereye_runtime.sweep.trials import folds_of, number_of_trials

THREADS = "OMP_NUM_THREADS"
LOCAL = ("process", "docker")
"""Targets whose trials share this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    concurrent: int
    """Most trials that run at the same time."""
    gpus: tuple[tuple[int, ...], ...] = ()
    """The GPUs of each slot; trials take turns on them where there are more slots. Empty: as the manifest says."""
    threads: int | None = None
    """Of each trial; None: as the manifest or the environment says."""

    def of_slot(self, manifest: Manifest, slot: int) -> Manifest:
        """The manifest of a trial that runs in that slot."""
        if self.gpus:
            gpus = self.gpus[slot % len(self.gpus)]
            manifest = replace(manifest, compute=replace(manifest.compute, gpus=gpus))
        if self.threads is not None:
            manifest = replace(manifest, environment={THREADS: str(self.threads), **manifest.environment})
        return manifest


def shares_of(manifest: Manifest, environment: Mapping[str, str]) -> Shares:
    """How trials of the manifest share this machine; elsewhere, the target's own scheduler does that."""
    limit = manifest.sweep.limits.max_concurrent_trials if manifest.sweep else None
    total = number_of_trials(manifest) * folds_of(manifest)
    compute = manifest.compute
    if compute.target not in LOCAL:
        return Shares(concurrent=min(limit or total, total))
    if compute.gpus != "none":
        return _of_gpus(manifest, limit, total)
    cores = len(os.sched_getaffinity(0))
    concurrent = min(limit or cores, total)
    is_set = THREADS in environment or THREADS in manifest.environment
    threads = max(1, cores // concurrent) if concurrent > 1 and not is_set else None
    return Shares(concurrent=concurrent, threads=threads)


def _of_gpus(manifest: Manifest, limit: int | None, total: int) -> Shares:
    wanted = manifest.compute.gpus
    if not isinstance(wanted, int):  # all of them, or these: each trial has the same
        return Shares(concurrent=min(limit or 1, total))
    there = visible_gpus()
    sets = tuple(tuple(range(first, first + wanted)) for first in range(0, there - wanted + 1, wanted))
    return Shares(concurrent=min(limit or max(len(sets), 1), total), gpus=sets)
