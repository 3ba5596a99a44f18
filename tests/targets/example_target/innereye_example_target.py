"""A compute target of another distribution: each job is a shell script in a folder of the queue, run at once.

It has what a batch system has: a queue folder (`compute.example.queue`), a ticket for each job, a process that this one
does not wait for, and a log file.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from innereye_runtime.errors import PreflightError
from innereye_runtime.job.entrypoint_args import EntrypointArgs
from innereye_runtime.job.resolve import Job
from innereye_runtime.manifest.model import Manifest
from innereye_runtime.run.paths import RunPaths, create_run_folder
from innereye_runtime.targets.base import RunStatus, StopResult
from innereye_runtime.targets.preflight.result import CheckResult, failed, ok
from innereye_runtime.targets.run_folder import FolderRun, stop_result

QUEUE = "EXAMPLE_QUEUE"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamplePlan:
    command: tuple[str, ...]
    queue: Path
    priority: int
    outputs: Path
    model_name: str
    run_folder: Path | None

    def describe(self) -> dict[str, Any]:
        return {"target": "example", **{name: _plain(value) for name, value in asdict(self).items()}}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value if isinstance(value, int) else str(value)


class ExampleRun(FolderRun):
    """A job of the queue, by its run folder."""

    def __init__(self, ticket: Path) -> None:
        self._ticket: Mapping[str, Any] = json.loads(ticket.read_text())
        super().__init__(RunPaths(Path(self._ticket["run_folder"])))

    @property
    def run(self) -> str:
        return str(self.paths.root)

    def is_active(self) -> bool:
        try:
            waited, _ = os.waitpid(self._ticket["pid"], os.WNOHANG)
        except ChildProcessError:  # submitted by another process
            state = Path(f"/proc/{self._ticket['pid']}/stat")
            return state.exists() and state.read_text().rpartition(")")[2].split()[0] != "Z"
        return waited == 0

    def stop(self) -> Sequence[StopResult]:
        if not self.is_active():
            return super().stop()
        os.killpg(self._ticket["pid"], signal.SIGTERM)
        return [stop_result(self.paths, self.wait())]

    def status(self) -> Mapping[str, Any]:
        known = super().status() if self.paths.run_json.is_file() else {"run": self.run, "state": "queued"}
        return {**known, "queue": str(self._ticket["queue"])}


class ExampleTarget:
    is_local = True
    schema: Mapping[str, Any] = {
        "description": "Settings of target example.",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "queue": {"description": "The folder of the queue.", "type": "string"},
            "priority": {"description": "The higher, the sooner.", "type": "integer", "minimum": 0},
        },
    }

    def plan(self, job: Job) -> ExamplePlan:
        settings = job.manifest.compute.external
        request = EntrypointArgs(
            manifest=job.manifest.path or Path("manifest.yaml"),
            overrides=job.overrides,
            target="example",
            smoke=job.smoke,
            run_folder=job.run_folder,
            code_root=job.code_root,
        )
        return ExamplePlan(
            command=(sys.executable, "-P", "-m", "innereye_runtime.entrypoint", *request.argv()),
            queue=Path(settings.get("queue") or os.environ.get(QUEUE, "queue")).absolute(),
            priority=settings.get("priority", 0),
            outputs=job.outputs_folder,
            model_name=job.model_name,
            run_folder=job.run_folder,
        )

    def preflight(self, manifest: Manifest | None, outputs: Path, job: Job | None) -> Iterable[tuple[str, CheckResult]]:
        queue = Path(os.environ.get(QUEUE, "queue"))
        error = PreflightError(f"there is no queue {queue}", hint=f"mkdir {queue}")
        yield "queue", ok(f"{queue} takes jobs") if queue.is_dir() else failed(error)

    def submit(self, plan: ExamplePlan, *, stdout: int) -> ExampleRun:
        if not plan.queue.is_dir():
            raise PreflightError(f"there is no queue {plan.queue}", hint=f"mkdir {plan.queue}")
        paths = (
            RunPaths(plan.run_folder)
            if plan.run_folder
            else create_run_folder(plan.outputs, plan.model_name, datetime.now(UTC))
        )
        script = plan.queue / f"{paths.root.name}.sh"
        script.write_text(f"exec {shlex.join([*plan.command[:4], f'--run-folder={paths.root}', *plan.command[4:]])}\n")
        child = subprocess.Popen(["sh", str(script)], stdin=subprocess.DEVNULL, stdout=stdout, process_group=0)
        ticket = {"pid": child.pid, "run_folder": str(paths.root), "queue": str(plan.queue), "time": time.time()}
        file = script.with_suffix(".json")
        file.write_text(json.dumps(ticket))
        return ExampleRun(file)

    def attach(self, reference: str) -> ExampleRun | None:
        return next((run for run in self._runs() if reference in (run.paths.root.name, *_names(run))), None)

    def list(self) -> Sequence[RunStatus]:
        return [
            RunStatus(run=one.paths.root.name, target="example", state="running", reference=one.run, place="queue")
            for one in self._runs()
            if one.is_active()
        ]

    def clean(self) -> Sequence[StopResult]:
        return ()

    def settings(self, job: Job) -> Iterable[tuple[str, str | None, str]]:
        if "queue" not in job.manifest.compute.external:
            yield "compute.example.queue", os.environ.get(QUEUE), QUEUE if QUEUE in os.environ else "not set"

    def _runs(self) -> list[ExampleRun]:
        runs = []
        for ticket in Path(os.environ.get(QUEUE, "queue")).glob("*.json"):
            with suppress(ValueError):
                runs.append(ExampleRun(ticket))
        return runs


def _names(run: ExampleRun) -> tuple[str, ...]:
    working = Path.cwd()
    root = run.paths.root
    return (str(root), str(root.relative_to(working))) if root.is_relative_to(working) else (str(root),)


TARGET = ExampleTarget()
