"""What the stand-in does not model, plainly: a green test here says nothing of these."""

from __future__ import annotations

LIMITS = (
    "machines: hosts, GPUs, networks, quotas, queues, serverless compute, how long a node takes to come",
    "images: registries and access to them (the local engine has what there is); curated and conda environments",
    "image builds: a build context is built by the local engine, anew for each stand-in, with this machine's network",
    "mounts: inputs and outputs are copies on this disk, without FUSE; a mounted output goes up every half second",
    "identity: one client with a secret; no roles, no user or managed identity inside a job, no key vault",
    "jobs: Command jobs only; no sweeps, pipelines, components, registries, schedules, endpoints, models",
    "cancel: SIGTERM, then SIGKILL after a grace period; no source says what the service does",
    "preemption: without a signal; restarted with the same run id or, if chosen, failed: sources contradict each other",
    "run history, dataset data plane, MLflow: no description at hand; written from what their clients read",
    "api-versions 2024-10-01-preview and 2025-01-01-preview: partly checked against 2024-04-01-preview",
    "blob store: Azurite; no hierarchical namespace, no tiers, no throttling of its own",
)
