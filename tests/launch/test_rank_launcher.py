"""The launcher on small programs in place of ranks: causes, times, signals, and nobody left."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from innereye_runtime.errors import UsageError
from innereye_runtime.job.rank_end import VARIABLE
from innereye_runtime.job.ranks import Ranks
from innereye_runtime.launch import rank_launcher
from innereye_runtime.launch.rank_group import Rank, RankGroup, group_to_start
from innereye_runtime.launch.rank_launcher import launch
from innereye_runtime.run.paths import RunPaths
from innereye_runtime.run.record import RunRecord

PROGRAM = """
import os, signal, sys, time
from pathlib import Path
from innereye_runtime.job.rank_end import RankEnd
rank, way, first = int(os.environ["RANK"]), sys.argv[1], int(sys.argv[2])
Path(f"pid{rank}").write_text(str(os.getpid()))
def end(kind, code, reason=""):
    RankEnd(kind=kind, exit_code=code, reason=reason).write()
    sys.exit(code)
if rank != first:
    if way == "done":
        end("done", 0)
    if way == "lost":
        time.sleep(0.5)
        end("lost", 1, "Connection closed by peer")
    if way == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if way == "stop":
        signal.signal(signal.SIGTERM, lambda *_: end("stopped", 143, "stopped"))
    time.sleep(60)
print(f"rank {rank} says good-bye", flush=True)
time.sleep(0.2)
match way:
    case "done": end("done", 0)
    case "error": end("failed", 1, "ValueError: odd")
    case "memory": end("failed", 137, "out of memory")
    case "stop": end("stopped", 143, "stopped")
    case "exit": os._exit(7)
    case "quiet": os._exit(0)
    case "segfault": os.kill(os.getpid(), signal.SIGSEGV)
    case _: os.kill(os.getpid(), signal.SIGKILL)
"""
KILLED = "killed (SIGKILL): most likely out of memory; use a smaller batch or fewer workers"


def group(size: int = 2, *, first: int = 0, world: int | None = None) -> RankGroup:
    ranks = tuple(Rank(number=first + n, local=n, node=0) for n in range(size))
    return RankGroup(ranks=ranks, world_size=world or size, variables={})


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunPaths:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(rank_launcher, "_ALONE_SECONDS", 0.6)
    monkeypatch.setattr(rank_launcher, "_STOP_SECONDS", 0.6)
    found = RunPaths(tmp_path)
    found.logs.mkdir()
    record = RunRecord(id="run", model="Model", target="process")
    record.begin_attempt("here")
    record.end_attempt("failed", 1, "of an earlier attempt")
    record.write(found)
    return found


def run(paths: RunPaths, way: str, failing: int, of: RankGroup | None = None) -> tuple[int, str]:
    exit_code = launch(of or group(), ["-c", PROGRAM, way, str(failing)], paths)
    assert not any(alive(file) for file in paths.root.glob("pid*"))
    return exit_code, RunRecord.read(paths).reason


@pytest.mark.parametrize(
    ("way", "exit_code", "reason"),
    [
        ("error", 1, "ValueError: odd"),
        ("memory", 137, "out of memory"),
        ("exit", 7, "exited with 7 before the run was complete, and raised no error"),
        ("quiet", 1, "exited with 0 before the run was complete, and raised no error"),
        ("segfault", 139, "crashed (SIGSEGV)"),
        ("lost", 137, KILLED),
        ("deaf", 137, KILLED),
    ],
)
def test_the_cause_is_that_of_the_rank_that_died(
    paths: RunPaths, capfd: pytest.CaptureFixture[str], way: str, exit_code: int, reason: str
) -> None:
    assert run(paths, way, 1) == (exit_code, f"rank 1: {reason}")
    shown = capfd.readouterr().err
    assert shown == f"the end of logs/rank-1.log:\n  rank 1 says good-bye\nerror: rank 1: {reason}\n"
    assert paths.console_log.read_text() == shown
    assert len(RunRecord.read(paths).attempts) == 2


def test_all_ranks_done_is_success(paths: RunPaths) -> None:
    assert run(paths, "done", 0) == (0, "of an earlier attempt")  # the first rank writes the record itself


def test_a_rank_that_is_stopped_by_itself_stops_all_in_order(paths: RunPaths) -> None:
    assert run(paths, "stop", 1)[0] == 143


def test_random_kills_end_in_time_with_the_right_cause(tmp_path: Path, paths: RunPaths) -> None:
    chance = random.Random(0)
    for _ in range(10):
        rank, way = chance.randrange(3), chance.choice(["kill", "exit", "memory", "deaf"])
        started = time.monotonic()
        exit_code, reason = run(paths, way, rank, group(3))
        assert exit_code == (7 if way == "exit" else 137)
        assert reason.startswith(f"rank {rank}: ") or (way == "memory" and rank == 0)
        assert time.monotonic() - started < 10


def test_a_failure_on_another_node_ends_the_ranks_here(paths: RunPaths) -> None:
    record = RunRecord.read(paths)
    record.begin_attempt("node0")
    record.write(paths)
    words = ["-c", PROGRAM, "wait", "99"]
    code = "import sys; from pathlib import Path; from innereye_runtime.run.record import RunRecord; "
    code += "from innereye_runtime.run.paths import RunPaths; import time; time.sleep(1); p = RunPaths(Path.cwd()); "
    code += "r = RunRecord.read(p); r.end_attempt('failed', 42, 'rank 0: of its own'); r.write(p)"
    with subprocess.Popen([sys.executable, "-c", code]):
        assert launch(group(1, first=1, world=2), words, paths) == 42
    assert RunRecord.read(paths).reason == "rank 0: of its own"


def test_signals_reach_every_rank_and_a_dead_launcher_leaves_none(paths: RunPaths) -> None:
    program = f"""
import sys
from pathlib import Path
from innereye_runtime.launch.rank_group import Rank, RankGroup
from innereye_runtime.launch.rank_launcher import launch
from innereye_runtime.run.paths import RunPaths
ranks = tuple(Rank(number=n, local=n, node=0) for n in (0, 1))
group = RankGroup(ranks=ranks, world_size=2, variables={{}})
sys.exit(launch(group, ["-c", {PROGRAM!r}, "stop", "99"], RunPaths(Path.cwd())))
"""
    pids = [paths.root / f"pid{rank}" for rank in (0, 1)]
    for signum, exit_code in ((signal.SIGTERM, 143), (signal.SIGKILL, -9)):
        for pid in pids:
            pid.unlink(missing_ok=True)
        launcher = subprocess.Popen([sys.executable, "-c", program])
        wait_until(lambda: all(pid.exists() and pid.read_text() for pid in pids))
        time.sleep(0.3)  # until they listen
        launcher.send_signal(signum)
        assert launcher.wait(10) == exit_code
        wait_until(lambda: not any(map(alive, pids)))


def job(nodes: int = 1, processes: int | None = None, gpus: Any = "none", most: int | None = None) -> Any:
    compute = SimpleNamespace(nodes=nodes, processes=processes, gpus=gpus)
    arguments = {} if most is None else {"max_num_gpus": SimpleNamespace(value=most)}
    return SimpleNamespace(manifest=SimpleNamespace(compute=compute), arguments=arguments, model_name="Model")


@pytest.mark.parametrize(
    ("environment", "job", "started"),
    [
        ({}, job(), None),
        ({}, job(processes=2), [(0, 0, 0), (1, 1, 0)]),
        ({}, job(nodes=2, processes=2), [(0, 0, 0), (1, 1, 0), (2, 0, 1), (3, 1, 1)]),
        ({}, job(gpus=2), [(0, 0, 0), (1, 1, 0)]),
        ({}, job(gpus=(0, 3)), [(0, 0, 0), (1, 1, 0)]),
        ({}, job(gpus=4, most=1), None),
        ({"CUDA_VISIBLE_DEVICES": "2,5"}, job(gpus="all"), [(0, 0, 0), (1, 1, 0)]),
        ({"NODE_RANK": "1", "MASTER_ADDR": "a"}, job(nodes=2, processes=2), [(2, 0, 1), (3, 1, 1)]),
        ({"NODE_RANK": "0", "MASTER_ADDR": "a"}, job(nodes=2), [(0, 0, 0)]),
        ({"RANK": "3", "LOCAL_RANK": "1", "WORLD_SIZE": "4", "NODE_RANK": "1"}, job(nodes=2), [(3, 1, 1)]),
        ({"LOCAL_RANK": "1", "NODE_RANK": "0", "WORLD_SIZE": "2"}, job(processes=2), None),  # Lightning's own
        ({"SLURM_PROCID": "1", "SLURM_NTASKS": "2"}, job(processes=2), None),
        ({VARIABLE: "/tmp", "RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2"}, job(processes=2), None),
    ],
)
def test_which_ranks_a_process_starts(environment: dict[str, str], job: Any, started: Any) -> None:
    found = group_to_start(Ranks.from_environment(environment), job, environment)
    assert (found and [(rank.number, rank.local, rank.node) for rank in found.ranks]) == started
    if found and not found.as_it_is:
        again = [Ranks.from_environment(found.environment(rank, Path("/ends"), environment)) for rank in found.ranks]
        assert [(each.global_rank, each.local_rank, each.node_rank) for each in again] == started
        assert {each.processes for each in again} == {found.world_size}


def test_more_processes_than_the_container_takes_gpus_are_refused() -> None:
    with pytest.raises(UsageError, match="and max_num_gpus of Model is 1"):
        group_to_start(Ranks(), job(processes=2, gpus=2, most=1), {})


def test_several_nodes_need_the_name_of_the_first() -> None:
    with pytest.raises(UsageError, match="nothing names the first node"):
        group_to_start(Ranks.from_environment({"NODE_RANK": "1"}), job(nodes=2), {})


def wait_until(condition: Any) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def alive(file: Path) -> bool:
    try:
        state = Path(f"/proc/{file.read_text()}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
