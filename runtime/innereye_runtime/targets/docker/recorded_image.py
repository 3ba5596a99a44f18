"""The image of an earlier run, by its digest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from innereye_runtime.errors import ImageError
from innereye_runtime.targets.docker.engine import connect, digest_of, map_engine_errors


def recorded_image(image: Mapping[str, Any]) -> str | None:
    """The name by which the engine has the image that run.json describes; None where it does not have it any more.

    Raises:
        PreflightError: no engine answers.
    """
    client = connect()
    for name in _names(str(image["reference"]), str(image["digest"])):
        try:
            with map_engine_errors(image=name):
                found = client.image(name)
        except ImageError:
            continue
        if image["digest"] in (found["Id"], digest_of(found)):
            return name
    return None


def _names(reference: str, digest: str) -> Iterator[str]:
    """What the image may be found by, as far as a manifest can name it."""
    name = reference.partition("@")[0]
    repository = name.rpartition(":")[0] if ":" in name.rpartition("/")[2] else name
    yield from (reference, f"{repository}@{digest}", digest)
