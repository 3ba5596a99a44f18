"""What the emulator does not model: a green test on the emulator proves nothing about these."""

from __future__ import annotations

LIMITS = (
    "machines: hosts, GPUs, networks, quotas, queues, serverless compute, time until a node is allocated",
    "images: registries and access to them (the local engine's images are used); curated and conda environments",
    "image builds: the local engine builds a context, once for each emulator, on this machine's network",
    "mounts: inputs and outputs are copies on this disk, without FUSE; a mounted output is uploaded twice a second",
    "stores: what --output-store refuses is refused to Python's own calls, not to those of C code",
    "identity: one client with a secret; no roles, no user or managed identity inside a job, no key vault",
    "jobs: Command and Sweep jobs only; no pipelines, components, registries, schedules, endpoints",
    "sweeps: Bayesian sampling draws at random; a trial's number and its order of start follow the search space",
    "validation: requests are not checked against the published API; --record FILE keeps them for a check",
    "cancel: SIGTERM, then SIGKILL after a grace period; no source documents what the service does",
    "preemption: without a signal; restarted with the same run id or, optionally, failed: sources disagree",
    "run history, dataset data plane, MLflow: not documented; modelled on what their clients read",
    "blob store: Azurite; no hierarchical namespace, no tiers, no throttling of its own",
)
