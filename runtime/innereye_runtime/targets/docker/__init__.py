"""The Docker target: a job in a container of a local engine."""

from __future__ import annotations

from innereye_runtime.targets.docker.target import DockerTarget

TARGET = DockerTarget()
