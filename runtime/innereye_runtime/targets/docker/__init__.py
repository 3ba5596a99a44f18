"""The Docker target. The engine's SDK is not imported before a job is submitted or asked for."""

from __future__ import annotations

from innereye_runtime.targets.docker.target import DockerTarget

TARGET = DockerTarget()
