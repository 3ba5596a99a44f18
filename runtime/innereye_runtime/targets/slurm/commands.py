"""Slurm's own commands, and the one table from its states to ours."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from innereye_runtime.errors import PreflightError

MARK: Final = "innereye-runtime:"
"""Before the run folder in the comment of a job of ours."""
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

    @property
    def is_active(self) -> bool:
        return self.state in _ACTIVE

    @property
    def run_folder(self) -> Path | None:
        """That of a job of ours."""
        for mark in (MARK, STOPPED):
            if self.comment.startswith(mark):
                return Path(self.comment.removeprefix(mark))
        return None

    @property
    def is_stopped(self) -> bool:
        return self.comment.startswith(STOPPED) or self.state == "CANCELLED"


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
    try:
        text = _run("scontrol", "show", "job", job, "--oneliner")
    except PreflightError as error:
        if "Invalid job id" in str(error):
            return None
        raise
    return _parsed(text) if text.strip() else None


def jobs() -> Iterator[SlurmJob]:
    """This user's jobs of ours that the controller knows, the newest first."""
    text = _run("scontrol", "show", "job", "--oneliner")
    found = [_parsed(line) for line in text.splitlines() if line.startswith("JobId=")]
    yield from sorted((job for job in found if job.run_folder), key=lambda job: int(job.id), reverse=True)


def cancel(job: str, *, signal: str | None = None) -> None:
    """Ends the job, or with `signal` sends it to every process; nothing where it has ended."""
    words = [f"--signal={signal}"] if signal else []
    _run("scancel", *words, job, may_fail=True)


def mark_stopped(job: SlurmJob) -> None:
    """Notes in the job that it is asked to stop."""
    _run("scontrol", "update", f"JobId={job.id}", f"Comment={STOPPED}{job.run_folder}", may_fail=True)


def _parsed(line: str) -> SlurmJob:
    # The comment is the only one of these fields that may hold blanks.
    values = dict(re.findall(r"(\w+)=(\S*)", line))
    comment = re.search(rf"Comment=((?:{MARK}|{STOPPED}).*?) (?:Power=|\w+=|$)", line + " ")
    code, _, signum = values.get("ExitCode", "0:0").partition(":")
    state = values["JobState"]
    exit_code = int(code) or (128 + int(signum) if int(signum or 0) else 0)
    return SlurmJob(
        id=values["JobId"],
        state=state,
        reason=values.get("Reason", ""),
        comment=comment[1].strip() if comment else "",
        nodes=values.get("NodeList", "").replace("(null)", ""),
        exit_code=_EXIT_CODES.get(state, exit_code or (1 if state == "FAILED" else 0)),
    )


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
