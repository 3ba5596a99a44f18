"""The request for an image with a manifest's packages, as one value that asks no engine."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from innereye_runtime.targets.packages_context import digest_of_packages

if TYPE_CHECKING:
    from innereye_runtime.packages.requirement import Requirements


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagesBuild:
    requirements: Requirements
    base: str
    digest: str

    @property
    def tag(self) -> str:
        """`innereye-runtime:cpu-<digest>`."""
        last = self.base.partition("@")[0].rpartition("/")[2]
        variant = re.sub(r"[^\w.-]", "-", last.removeprefix("innereye-runtime:").replace(":", "-"))
        return f"innereye-runtime:{variant[:80]}-{self.digest}"


def plan_packages_build(requirements: Requirements, *, base: str) -> PackagesBuild:
    """The build of `requirements` on the image `base`. Reads what the requirements name, and asks no engine."""
    return PackagesBuild(requirements=requirements, base=base, digest=digest_of_packages(requirements, base))
