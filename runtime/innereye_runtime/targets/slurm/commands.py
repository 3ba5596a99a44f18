"""Slurm's own commands, and the one table from its states to ours."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from innereye_runtime.errors import PreflightError

MARK: Final = "innereye-runtime:"
"""Before the run folder in the comment of a job of ours; before the sweep's folder in that of an array."""
STOPPED: Final = "innereye-runtime-stopped:"
"""In its place for one that somebody asked to stop: whoever follows it does not start it again."""
_ACTIVE: Final = {"PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "REQUEUED", "RESIZING", "SIGNALING"}
_EXIT_CODES: Final = {
    "CANCELLED": 143,
    "DEADLINE": 143,
    "PREEMPTED": 143,
    "TIMEOUT": 143,
    "NODE_FAIL": 137,
    "BOOT_FAIL": 137,
    "OUT_OF_MEMORY": 137,
}
_SECONDS: Final = 60
_NO_NUMBER: Final = 0xFFFFFFFE


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmJob:
    """A job as the controller knows it."""

    id: str
    state: str
    """In Slurm's words: PENDING, RUNNING, COMPLETED, ..."""
    reason: str
    comment: str
    nodes: str
    exit_code: int
    array: str = ""
    """The id of the array whose tasks these are; '': it is not one."""
    tasks: tuple[int, ...] = ()
    """Of an array. Those that wait in the queue are one job to the controller."""

    @property
    def is_active(self) -> bool:
        return self.state in _ACTIVE

    @property
    def folder(self) -> Path | None:
        """What its comment names: the run folder of a job of ours, or the folder of a sweep whose trials these are."""
        for mark in (MARK, STOPPED):
            if self.comment.startswith(mark):
                return Path(self.comment.removeprefix(mark))
        return None

    @property
    def run_folder(self) -> Path | None:
        """That of a job of ours, or of one trial; of several, the folder of their sweep."""
        folder = self.folder
        return trial_folder(folder, self.tasks[0]) if folder is not None and len(self.tasks) == 1 else folder

    def each(self) -> Iterator[SlurmJob]:
        """Each task of an array as a job of its own; the job itself where it is not one."""
        if not self.array:
            yield self
        for task in self.tasks:
            yield replace(self, id=f"{self.array}_{task}", tasks=(task,))

    @property
    def is_stopped(self) -> bool:
        return self.comment.startswith(STOPPED) or self.state == "CANCELLED"


def trial_folder(sweep: Path, task: int) -> Path:
    """The run folder of a trial, whose number is that of its task."""
    return sweep / "trials" / f"{task:03}"


def submit(script: str, environment: Mapping[str, str]) -> str:
    """The id of the new job.

    Raises:
        PreflightError: there is no Slurm here, or it refuses the job.
    """
    return _run("sbatch", "--parsable", input=script, environment=environment).strip().partition(";")[0]


def show(job: str) -> SlurmJob | None:
    """The job, also for some minutes after its end; None where the controller does not know it any more.

    Raises:
        PreflightError: there is no Slurm here, or its controller does not answer.
    """
    return next(iter(_show(job)), None)


def tasks_of(id: str) -> tuple[Mapping[int | None, SlurmJob], bool]:
    """The tasks of an array that the controller knows, by number, and whether others were cancelled in the queue: of
    these it keeps no numbers. A job that is not an array is its own only task, without a number.

    Raises:
        PreflightError: there is no Slurm here, or its controller does not answer.
    """
    found = _show(id)
    is_cancelled = any(job.array and not job.tasks and job.state == "CANCELLED" for job in found)
    return {next(iter(one.tasks), None): one for job in found for one in job.each()}, is_cancelled


def jobs() -> Iterator[SlurmJob]:
    """This user's jobs of ours that the controller knows, the newest first."""
    found = [job for job in _show() if job.folder]
    yield from sorted(found, key=lambda job: int(job.id.partition("_")[0]), reverse=True)


def cancel(*jobs: str, signal: str | None = None, state: str | None = None) -> None:
    """Ends the jobs, or with `signal` sends it to every process; nothing where they have ended. An array's id means all
    of its tasks; with `state`, those that are in it.
    """
    words = [f"--signal={signal}"] if signal else []
    words += [f"--state={state}"] if state else []
    _run("scancel", *words, *jobs, may_fail=True)


def requeue(job: str) -> None:
    """Queues a job once more that has ended: it keeps its id, and its place in an array.

    Raises:
        PreflightError: the controller does not know it any more, or does not answer.
    """
    _run("scontrol", "requeue", job)


def mark_stopped(job: SlurmJob) -> None:
    """Notes in the job that it is asked to stop."""
    _run("scontrol", "update", f"JobId={job.id}", f"Comment={STOPPED}{job.folder}", may_fail=True)


def _show(*job: str) -> Sequence[SlurmJob]:
    """The job, or the tasks of an array that it is, or all of them."""
    whole = {**os.environ, "SLURM_BITSTR_LEN": "0"}  # the numbers of tasks are cut off otherwise
    try:
        text = _run("scontrol", "show", "job", *job, "--oneliner", environment=whole)
    except PreflightError as error:
        if job and "Invalid job id" in str(error):
            return []
        raise
    return [_parsed(line) for line in text.splitlines() if line.startswith("JobId=")]


def _parsed(line: str) -> SlurmJob:
    # The comment is the only one of these fields that may hold blanks.
    values = dict(re.findall(r"(\w+)=(\S*)", line))
    comment = re.search(rf"Comment=((?:{MARK}|{STOPPED}).*?) (?:Power=|\w+=|$)", line + " ")
    code, _, signum = values.get("ExitCode", "0:0").partition(":")
    state = values["JobState"]
    exit_code = int(code) or (128 + int(signum) if int(signum or 0) else 0)
    array, tasks = values.get("ArrayJobId", ""), _numbers(values.get("ArrayTaskId", ""))
    queued = f"{array}_[{values.get('ArrayTaskId', '').partition('%')[0]}]"
    return SlurmJob(
        id=values["JobId"] if not array else f"{array}_{tasks[0]}" if len(tasks) == 1 else queued,
        state=state,
        reason=values.get("Reason", ""),
        comment=comment[1].strip() if comment else "",
        nodes=values.get("NodeList", "").replace("(null)", ""),
        exit_code=_EXIT_CODES.get(state, exit_code or (1 if state == "FAILED" else 0)),
        array=array,
        tasks=tasks,
    )


def _numbers(text: str) -> tuple[int, ...]:
    """The tasks that `5,7-9%2` names; none where the controller has forgotten which they were."""
    found: list[int] = []
    for part in filter(None, text.partition("%")[0].split(",")):
        first, _, last = part.partition(":")[0].partition("-")
        step = int(part.partition(":")[2] or 1)
        found += range(int(first), int(last or first) + 1, step)
    return tuple(number for number in found if number < _NO_NUMBER)


def _run(
    *command: str, input: str | None = None, environment: Mapping[str, str] | None = None, may_fail: bool = False
) -> str:
    try:
        done = subprocess.run(
            command,
            input=input,
            env=environment,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            stdin=subprocess.DEVNULL if input is None else None,
        )
    except FileNotFoundError:
        raise PreflightError(
            f"there is no {command[0]} here: this machine can't submit to a Slurm cluster",
            hint="log in to the cluster's login node, and run innereye-run there",
        ) from None
    except subprocess.TimeoutExpired:
        raise PreflightError(
            f"Slurm's controller does not answer within {_SECONDS} s", hint="try again: sinfo shows when it does"
        ) from None
    if done.returncode and not may_fail:
        told = done.stderr.strip() or done.stdout.strip()
        raise PreflightError(
            f"{command[0]}: {told.removeprefix(f'{command[0]}: ').removeprefix('error: ')}",
            hint="sinfo shows partitions and their limits, sacctmgr show associations the accounts",
        )
    return done.stdout
