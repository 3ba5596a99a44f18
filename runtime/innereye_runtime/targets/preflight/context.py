"""What the checks look at: a manifest, where there is one, and the engine, asked once for all of them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from innereye_runtime.manifest.model import Dataset, Manifest, TargetName
from innereye_runtime.targets.docker.client import EngineClient
from innereye_runtime.targets.docker.engine import connect, image_of, map_engine_errors

if TYPE_CHECKING:
    from innereye_runtime.packages.requirement import Requirements


@dataclass(kw_only=True)
class CheckContext:
    target: TargetName
    manifest: Manifest | None
    image_reference: str
    outputs: Path
    datasets: tuple[Dataset, ...] = ()
    """Of the job."""
    requirements: Requirements | None = None
    """What the manifest's `packages` ask for."""
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)

    @cached_property
    def client(self) -> EngineClient:
        """Raises PreflightError where no engine answers."""
        return connect()

    @cached_property
    def info(self) -> dict[str, Any]:
        """What the engine says of itself and its machine."""
        with map_engine_errors():
            return self.client.info()

    @cached_property
    def image(self) -> dict[str, Any]:
        """Raises ImageError where the engine has none of that name."""
        return image_of(self.client, self.image_reference)
