"""The versions that images keep as they were tested, and requirements that contradict them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from innereye_runtime import __version__
from innereye_runtime.packages.installed import python_mismatch
from innereye_runtime.packages.requirement import Problem, Requirements, environment_of

KEPT = ("torch", "pytorch-lightning", "torchmetrics", "lightning-utilities", "innereye-runtime")
"""Distributions that no requirement changes in an image."""
_FILE = "constraints.txt"
_PYTHON_HINT = "allow that version in the file, or name an image of your own in compute.docker.image"


@cache
def tested_versions() -> Mapping[str, str]:
    """The version of each of `KEPT`, from the constraints of this package's checkout or of its wheel."""
    package = Path(__file__).resolve().parents[1]
    places = (package / "source_tree" / _FILE, package.parents[1] / _FILE)
    text = next((place.read_text(encoding="utf-8") for place in places if place.is_file()), "")
    found = dict(re.findall(r"^([\w.-]+)==([^\s;]+)", text, flags=re.MULTILINE))
    versions = {name: found[name] for name in KEPT if name in found}
    return {**versions, "innereye-runtime": __version__}


def conflicts(requirements: Requirements, python: str) -> Iterator[Problem]:
    """Requirements that no image of the runtime can meet, each with both sides. `python`: the image's version."""
    if mismatch := python_mismatch(requirements, python):
        yield Problem(code="E509", message=mismatch.replace("this is", "images have"), hint=_PYTHON_HINT)
    environment = environment_of(python)
    listed = requirements.file is None
    for index, each in enumerate(requirements.requirements):
        tested = tested_versions().get(each.name)
        if tested is None or not each.applies(environment):
            continue
        if not each.parsed.specifier.contains(tested, prereleases=True):
            yield Problem(
                code="E508",
                message=f"{each.place} requires {each.text}, and images keep {each.name} {tested}, the tested version",
                hint=f"allow {tested}, or name an image of your own with {each.name} in compute.docker.image",
                index=index if listed else None,
            )
