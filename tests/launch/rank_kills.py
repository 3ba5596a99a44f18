"""A job of several ranks of which one dies, at a moment and by a cause that a number chooses, and what came of it."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from tests.launch.test_ranks_of_one_machine import KILLED, alive, run_of, several_project, wait_until
from tests.projects import Project

_ENDS: dict[str, tuple[int, str]] = {
    "be_killed": (137, KILLED),
    "leave": (7, "exited with 7 before the run was complete, and raised no error"),
    "raise_an_error": (1, "RuntimeError: the left half is missing"),
    "ask_for_too_much_memory": (137, "out of memory"),
    "crash": (139, "crashed (SIGSEGV)"),
    "fill_the_memory": (137, KILLED),
}
"""The exit code and the reason of each way to die. The last one is for where the memory has a limit."""
_CAUSES = (("be_killed", "outside", "crash"), ("leave",), ("raise_an_error",), ("ask_for_too_much_memory",))
"""A signal, an exit code, an exception, out of memory."""
_WAITING = "0 wait_once"


def kill(
    root: Path,
    number: int,
    *,
    target: str,
    shapes: Sequence[tuple[int, int]],
    seconds: float,
    kind: type[Project] = Project,
) -> list[str]:
    """What is wrong with how the job ended whose rank the `number` chose; and what it was, on standard output.

    `shapes`: the nodes and the processes of each that it may have. `seconds`: how long the end may take. `kind`: how a
    command is started.
    """
    dice = random.Random(number)
    nodes, processes = dice.choice(shapes)
    rank, busy = dice.randrange(nodes * processes), dice.random() < 0.5
    way = dice.choice(_CAUSES[number % len(_CAUSES)])
    if target == "docker" and way == "ask_for_too_much_memory":
        way = "fill_the_memory"
    if target != "process" and way == "outside":
        way = "be_killed"
    memory = ", docker: {memory: 1500m}" if target == "docker" else ""
    compute = f"target: {target}, nodes: {nodes}, processes: {processes}{memory}"
    project = kind(several_project(root, compute).root)
    what = f"{target}, {nodes} x {processes}: rank {rank} {way}{' while others wait for it' if busy else ''}"
    delay = dice.uniform(0.0, 8.0)
    problems, took = outcome(project, way, rank, busy=busy, delay=delay, seconds=seconds, is_visible=target != "docker")
    print(f"{what}: {'; '.join(problems) or f'ended in {took:.1f} s'}", flush=True)
    return [f"{what}: {problem}" for problem in problems]


def outcome(
    project: Project, way: str, rank: int, *, busy: bool, delay: float, seconds: float, is_visible: bool
) -> tuple[list[str], float]:
    """The problems, and the seconds from the death of the rank to the end of the launcher. `is_visible`: its process is
    one of this machine, which is looked at.
    """
    asked = _WAITING if way == "outside" else f"{rank} {way}"
    launcher = project.start("several.yaml", f"--way={asked}", f"--busy={busy and way != 'outside'}")
    run = run_of(project, launcher)
    if way == "outside":
        wait_until(lambda: any(ranks_of(run, rank)), 300)
        time.sleep(delay)  # it may be importing, meeting the others, training
        died = time.time()
        for pid in ranks_of(run, rank):
            os.kill(pid, signal.SIGKILL)
    else:
        wait_until(lambda: (run / "dying").exists() or launcher.poll() is not None, 300)
        died = (run / "dying").stat().st_mtime
        if is_visible:  # what is written of an exception is written by the rank itself, before it dies
            wait_until(lambda: not alive(run / f"pid{rank}.txt"), 60)
            died = time.time()
    output = "".join(launcher.communicate(timeout=90))
    took = time.time() - died
    record = json.loads((run / "run.json").read_text())
    exit_code, reason = _ENDS["be_killed" if way == "outside" else way]
    told = record["reason"].removeprefix("rank 0: ") if rank == 0 else record["reason"]
    problems = [] if took < seconds else [f"ended after {took:.1f} s"]
    if (launcher.returncode, record["exit_code"]) != (exit_code, exit_code):
        problems.append(f"exit codes {launcher.returncode} and {record['exit_code']}, not {exit_code}")
    if told != (reason if rank == 0 else f"rank {rank}: {reason}"):
        problems.append(f"the reason is {record['reason']!r}: {output[-2000:]}")
    if record["reason"] not in (run / "logs" / "console.log").read_text():
        problems.append("the console does not have the reason")
    problems += [f"process {pid} is left" for pid in ranks_of(run)]
    return problems, took


def ranks_of(run: Path, rank: int | None = None) -> Iterator[int]:
    """The processes of the run on this machine; with `rank`, those that have this one."""
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            variables = (entry / "environ").read_bytes().split(b"\0")
            if f"--run-folder={run}".encode() in words and (rank is None or f"RANK={rank}".encode() in variables):
                yield int(entry.name)
