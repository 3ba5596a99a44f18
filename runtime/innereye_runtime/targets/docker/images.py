"""The images of the runtime on an engine, and those of them that no run would take any more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from innereye_runtime.errors import ImageError
from innereye_runtime.targets.docker.client import EngineClient, RefusedError
from innereye_runtime.targets.docker.engine import image_of, map_engine_errors
from innereye_runtime.targets.docker.packages_image import BASE_LABEL, BASE_NAME_LABEL
from innereye_runtime.targets.docker.request import LABEL
from innereye_runtime.targets.packages_context import LABEL as PACKAGES_LABEL


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeImage:
    id: str
    tags: tuple[str, ...]
    variant: str
    packages: str
    """The digest of the packages that were added; '' for the runtime alone."""
    base: str
    """The name of the image that they were added to."""
    outdated: bool
    """It has packages, and a run would build it anew: it lost its tag, or its base is another image by now."""
    size_bytes: int

    def describe(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "tags": list(self.tags),
            "variant": self.variant,
            "packages": self.packages or None,
            "base": self.base or None,
            "outdated": self.outdated,
            "size_bytes": self.size_bytes,
        }


def runtime_images(client: EngineClient) -> list[RuntimeImage]:
    """Those that have a tag or packages, in the engine's order.

    Raises:
        PreflightError: the engine does not answer.
    """
    bases: dict[str, str] = {}
    with map_engine_errors():
        images = [_image(client, found, bases) for found in client.images(f"{LABEL}.variant")]
    return [image for image in images if image.tags or image.packages]


def remove_images(client: EngineClient, images: list[RuntimeImage]) -> list[tuple[RuntimeImage, str]]:
    """Removes each; with why not, where the engine refuses: a container may use it."""
    told = []
    for image in images:
        reason = ""
        with map_engine_errors():
            try:
                for name in image.tags or (image.id,):
                    client.remove_image(name)
            except RefusedError as refusal:
                reason = str(refusal)
        told.append((image, reason))
    return told


def _image(client: EngineClient, found: dict[str, Any], bases: dict[str, str]) -> RuntimeImage:
    labels = found.get("Labels") or {}
    tags = tuple(tag for tag in found.get("RepoTags") or () if not tag.startswith("<none>"))
    packages, base = labels.get(PACKAGES_LABEL, ""), labels.get(BASE_NAME_LABEL, "")
    if packages and base not in bases:
        bases[base] = _id(client, base)
    outdated = bool(packages) and (not tags or labels.get(BASE_LABEL) != bases[base])
    return RuntimeImage(
        id=str(found["Id"]),
        tags=tags,
        variant=labels.get(f"{LABEL}.variant", ""),
        packages=packages,
        base=base,
        outdated=outdated,
        size_bytes=int(found["Size"]),
    )


def _id(client: EngineClient, reference: str) -> str:
    try:
        return str(image_of(client, reference)["Id"])
    except ImageError:
        return ""
