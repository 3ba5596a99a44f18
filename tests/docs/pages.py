"""The tutorial and how-to pages as a reader works through them: files to write, and commands to type into one shell.

A fence with a title is a file. A fence in `sh` is typed as it is, unless a comment stands before it:

    <!-- not run: REASON -->       it can't be run here
    <!-- exit code: 2 -->          a command of it ends with that code

A fence in `text` right after it is what that prints, where `...` as a line of its own stands for any lines.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
CHECKOUT = "innereye-runtime"
"""The folder in which a reader starts, as `git clone` names it."""
FENCE = re.compile(
    r"(?:^<!-- (?P<mark>not run|exit code): (?P<about>.+?) -->\n+)?"
    r"^```(?P<language>\w+)(?: title=\"(?P<title>[^\"]+)\")?\n(?P<text>.*?)^```$"
    r"(?:\n+^```text\n(?P<prints>.*?)^```$)?",
    re.MULTILINE | re.DOTALL,
)
VARYING = (
    (re.compile(r"\S*/((?:outputs|data)/)"), r"\1"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d{6}Z"), "START"),
    (re.compile(r"\b\d+(?:\.\d+)?\b"), "N"),
    (re.compile(r"[ \t]+"), " "),
)
"""What is another on each machine or in each run: where runs are, times and figures; and the space that these take."""
END = "the end of the pages"
SHELL = """\
set -o pipefail
trap 'failed=$?' ERR
ended() {
    printf '\\n%s:\\n' "$2" && cat "$steps/$1" && tail -c 3000 "$steps/$1.out"
    [ "$failed" -eq "$3" ] || { printf 'exit code %s, and not %s\\n' "$failed" "$3" && exit 1; }
}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    page: str
    text: str
    file: str = ""
    """The name of the file that it is; '' for commands."""
    not_run: str = ""
    """Why it is not run; '' where it is."""
    exit_code: int = 0
    prints: str = ""
    """What the page says that the commands print; '' where it says nothing."""


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
                prints=match["prints"] or "",
            )


def write_script(steps: Path, todo: Iterable[Block]) -> Path:
    """A script of bash that does what the blocks say, in the folder where it is started; `steps` gets what it reads and
    what each block printed. It ends with the first block whose exit code is another.
    """
    steps.mkdir()
    lines = [f"steps={shlex.quote(str(steps))}", SHELL]
    for number, block in enumerate(todo):
        (steps / str(number)).write_text(block.text)
        if block.file:
            name = shlex.quote(block.file)
            lines.append(f'mkdir -p "$(dirname {name})" && cp "$steps/{number}" {name}')
        elif not block.not_run:
            lines.append(f'failed=0\n. "$steps/{number}" </dev/null >"$steps/{number}.out" 2>&1')
            lines.append(f"ended {number} {shlex.quote(block.page)} {block.exit_code}")
    script = steps / "script"
    script.write_text("\n".join([*lines, f"echo {END}"]) + "\n")
    return script


def check(done: subprocess.CompletedProcess[str], steps: Path, todo: Iterable[Block]) -> None:
    """Compares what the script did with what the pages say.

    Raises:
        AssertionError: a block ended with another exit code, ended the shell, or printed something else.
    """
    output = done.stdout[-6000:] + done.stderr
    assert done.returncode == 0 and done.stdout.endswith(f"{END}\n"), f"{output}\nthe shell ended before the pages end"
    for number, block in enumerate(todo):
        if block.prints and not block.not_run:
            printed = (steps / f"{number}.out").read_text()
            assert is_printed(block.prints, printed), (
                f"{block.page}:\n{block.text}prints\n{printed}and not\n{block.prints}"
            )


def is_printed(shown: str, printed: str) -> bool:
    """Whether a page that shows `shown` has shown what was printed."""
    pattern = "".join(
        r"(?:.*\n)*?" if line == "..." else re.escape(_plain(line)) + r"\n" for line in shown.rstrip().split("\n")
    )
    return re.fullmatch(pattern, "".join(f"{_plain(line)}\n" for line in printed.rstrip().split("\n"))) is not None


def _plain(line: str) -> str:
    for pattern, name in VARYING:
        line = pattern.sub(name, line)
    return line.strip()


def work_through(page: Path, folder: Path) -> None:
    """Does what the page says, in `folder`, which has the checkout's manifests and data.

    Raises:
        AssertionError: a command ends with another exit code than the page says, or prints something else.
    """
    for name in ("manifests", "data", "schema"):
        shutil.copytree(ROOT / name, folder / CHECKOUT / name)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("INNEREYE_")}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    environment["XDG_CACHE_HOME"] = str(folder / "cache")
    todo = list(blocks(page))
    done = subprocess.run(
        ["bash", write_script(folder / "steps", todo)],
        cwd=folder / CHECKOUT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
    )
    check(done, folder / "steps", todo)
