"""What only the launching side knows of a job, handed over in one file: the code's commit, the image, how datasets were
brought, secrets' values.

A container sees the file at `LAUNCH_FILE`. Its text is not part of the container's request, so that an engine shows no
secret to whoever may inspect containers, and the launching side removes it as soon as the container has it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from innereye_runtime.job.provenance import Code

LAUNCH_FILE = Path("/run/innereye-runtime/launch.json")
VARIABLE = "INNEREYE_RUNTIME_LAUNCH"
"""Names the file where it can't lie at `LAUNCH_FILE`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchContext:
    """All of it is optional: a run that was started by hand has none."""

    code: Code | None = None
    image: Mapping[str, str] | None = None
    """Its `reference`, as the manifest names it, and its `digest`."""
    run: str = ""
    """The run's name, where the run folder has another one for the running side."""
    datasets: Sequence[Mapping[str, Any]] = ()
    """What the launching side did to bring each of the handover's datasets, as plain data."""
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """For the environment of the user's code, and nowhere else."""

    @classmethod
    def read(cls, place: Path | None = None) -> Self:
        """What the launching side wrote at `place` (default: where `VARIABLE` says, else `LAUNCH_FILE`); an empty one
        where there is no file.
        """
        place = place or Path(os.environ.get(VARIABLE) or LAUNCH_FILE)
        try:
            values: dict[str, Any] = json.loads(place.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return cls()
        code = values.pop("code")
        return cls(code=_code(code) if code else None, **values)

    def write(self, place: Path) -> None:
        """Writes a new file that only this user can read.

        Raises:
            OSError: the file can't be made.
        """
        values = {
            "code": asdict(self.code) if self.code else None,
            "image": self.image,
            "run": self.run,
            "datasets": list(self.datasets),
            "secrets": dict(self.secrets),
        }
        descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(values, file)


def _code(values: dict[str, Any]) -> Code:
    return Code(**{**values, "left_out": tuple(values.get("left_out", ()))})
