"""The tutorial and how-to pages as a reader works through them: files to write, and commands to run, in order.

A fence with a title is a file. A fence in `sh` is run as it is, unless a comment stands before it:

    <!-- not run: REASON -->       it can't be run here
    <!-- exit code: 2 -->          it ends with that code
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
FENCE = re.compile(
    r"(?:^<!-- (?P<mark>not run|exit code): (?P<about>.+?) -->\n+)?"
    r"^```(?P<language>\w+)(?: title=\"(?P<title>[^\"]+)\")?\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    page: str
    text: str
    file: str = ""
    """The name of the file that it is; '' for commands."""
    not_run: str = ""
    """Why it is not run; '' where it is."""
    exit_code: int = 0


def pages() -> list[Path]:
    """Those whose commands a reader types."""
    return [DOCS / "migration.md", *sorted([*DOCS.glob("tutorial/*.md"), *DOCS.glob("how-to/*.md")])]


def blocks(page: Path) -> Iterator[Block]:
    """The files and commands of a page, in order."""
    name = page.relative_to(DOCS).as_posix() if page.is_relative_to(DOCS) else page.name
    for match in FENCE.finditer(page.read_text(encoding="utf-8")):
        if match["title"]:
            yield Block(page=name, text=match["text"], file=match["title"])
        elif match["language"] == "sh":
            yield Block(
                page=name,
                text=match["text"],
                not_run=match["about"] if match["mark"] == "not run" else "",
                exit_code=int(match["about"]) if match["mark"] == "exit code" else 0,
            )


def work_through(page: Path, folder: Path) -> None:
    """Does what the page says, in `folder`, which has the checkout's manifests and data.

    Raises:
        AssertionError: a command ends with another exit code than the page says.
    """
    for name in ("manifests", "data", "schema"):
        shutil.copytree(ROOT / name, folder / name)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("INNEREYE_")}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    environment["XDG_CACHE_HOME"] = str(folder / "cache")
    for block in blocks(page):
        if block.file:
            (folder / block.file).parent.mkdir(parents=True, exist_ok=True)
            (folder / block.file).write_text(block.text)
        elif not block.not_run:
            before = "set -euo pipefail\n[ ! -f .variables ] || . ./.variables\n"
            script = f"{before}{block.text}declare -p RUN >.variables 2>/dev/null || true\n"  # the shell stays the same
            done = subprocess.run(
                ["bash", "-c", script],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=400,
            )
            said = f"{block.page}:\n{block.text}\nexit code {done.returncode}\n{done.stdout}{done.stderr}"
            assert done.returncode == block.exit_code, said
