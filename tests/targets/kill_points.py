"""A job that dies before any chosen file operation in its run folder, and what is left when it is resumed.

The operations are those that Python's audit hooks see: files opened for writing, renamed, removed or linked, and$
folders made or removed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.projects import Project, Result, tiny_project

KILLER = '''\
"""Counts the file operations of the running side below its run folder, and kills the process before the KILL_AT-th of
them, in the first attempt."""

import atexit
import json
import os
import signal
import sys

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_EVENTS = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate")
_folder = next((word.partition("=")[2] for word in sys.orig_argv if word.startswith("--run-folder=")), "")
_at = int(os.environ.get("KILL_AT", "0"))
_count = 0


def _is_first():
    try:
        with open(os.path.join(_folder, "run.json")) as file:
            return not json.load(file)["attempts"]
    except OSError:
        return True


def _watch(event, arguments):
    global _count
    if event == "open":
        written = isinstance(arguments[2], int) and arguments[2] & _WRITES
    else:
        written = event in _EVENTS
    if not written or not isinstance(arguments[0], str | os.PathLike):
        return
    path = os.path.abspath(os.fspath(arguments[0]))
    if path == _folder or path.startswith(_folder + os.sep):
        _count += 1
        if _count == _at:
            os.kill(os.getpid(), signal.SIGKILL)


if _folder and _is_first():
    sys.addaudithook(_watch)
    atexit.register(lambda: os.write(2, b"%d file operations\\n" % _count))
'''


def killed_project(root: Path, at: int) -> Project:
    """A project whose job is killed before its `at`-th file operation; 0: it counts them."""
    manifest = (
        "schema: 1\n"
        "container: {class: Tiny, namespaces: [tiny]}\n"
        "trainer: {num_epochs: 3}\n"
        "compute: {retries: {preempted: 0, infrastructure: 0, user: 0}}\n"
        f"environment: {{PYTHONPATH: {root}, KILL_AT: '{at}'}}\n"
    )
    project = tiny_project(root, manifest)
    project.write("sitecustomize.py", KILLER)
    return project


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """The unbroken run."""

    outcome: Any
    operations: int


def unbroken(root: Path, target: str) -> Whole:
    result = killed_project(root, 0).run("--target", target, "tiny.yaml")
    assert result.exit_code == 0, result.stderr
    counted = re.search(r"^(\d+) file operations$", result.stderr, flags=re.MULTILINE)
    assert counted is not None, result.stderr
    return Whole(outcome=outcome(result), operations=int(counted[1]))


def outcome(result: Result) -> Any:
    run = result.run
    weights = {name: each["weights_sha256"] for name, each in result.record["checkpoints"].items()}
    assert set(weights) == {"best", "last"}
    return weights, (run / "metrics.csv").read_text(), json.loads((run / "metrics.json").read_text())


def problems(root: Path, target: str, at: int, whole: Whole) -> Iterator[str]:
    """What is wrong with a job that is killed before its `at`-th file operation, and resumed."""
    project = killed_project(root, at)
    killed = project.run("--target", target, "tiny.yaml")
    if killed.exit_code != 137:
        yield f"the killed job ended with {killed.exit_code}: {killed.stderr}"
        return
    (run,) = (root / "outputs").iterdir()
    state = json.loads(project.run("status", "--json", str(run)).stdout)["state"]
    is_whole = project.run("verify", str(run)).exit_code == 0
    if (state == "completed") != is_whole:
        yield f"status reports {state}, and verify ends with {'0' if is_whole else 'another code'}"
    resumed = project.run("resume", str(run))
    if ("nothing to resume" in resumed.stderr) != is_whole:
        yield f"resume says of a run that is {'' if is_whole else 'not '}complete: {resumed.stderr}"
    if resumed.exit_code != 0:
        yield f"resume ended with {resumed.exit_code}: {resumed.stderr}"
        return
    if outcome(resumed) != whole.outcome:
        yield "the resumed run differs from the unbroken one"
    if project.run("verify", str(run)).exit_code != 0:
        yield "the resumed run is not verified"
    state = json.loads(project.run("status", "--json", str(run)).stdout)["state"]
    if state != "completed":
        yield f"the resumed run is {state}"
    if left := [str(path) for path in run.rglob("*") if path.name.endswith((".tmp", ".pending", ".room"))]:
        yield f"left: {left}"


def chosen(operations: int, count: int) -> list[int]:
    """`count` of all, evenly spread and with the last one; all of them where there are no more."""
    count = min(count, operations)
    return sorted({operations - number * operations // count for number in range(count)})
