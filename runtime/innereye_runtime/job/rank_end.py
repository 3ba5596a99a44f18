"""How a rank ended, in a file for the process that started it. A rank without one was killed, or left by `os._exit`."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, Self

VARIABLE = "INNEREYE_RUNTIME_RANK_ENDS"
"""Names the folder of these files. It is set for ranks that `innereye_runtime.launch` started, and for no others."""

Kind = Literal["done", "failed", "stopped", "lost"]
"""lost: another rank did not answer any more, so that the cause lies there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RankEnd:
    kind: Kind
    exit_code: int
    reason: str = ""

    @classmethod
    def read(cls, folder: Path, rank: int) -> Self | None:
        """The end of a rank; None where it left without a word."""
        try:
            return cls(**json.loads(_file(folder, rank).read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def write(self) -> None:
        """Leaves this end for the launcher of this process, where it has one, unless an earlier one is there."""
        folder = os.environ.get(VARIABLE)
        if not folder:
            return
        file = _file(Path(folder), int(os.environ["RANK"]))
        temporary = file.with_suffix(".tmp")
        try:
            temporary.write_text(json.dumps(asdict(self)), encoding="utf-8")
            os.link(temporary, file)
        except OSError:
            return  # the launcher is gone, or this rank has told its end
        finally:
            temporary.unlink(missing_ok=True)


def _file(folder: Path, rank: int) -> Path:
    return folder / f"rank-{rank}.json"
