"""The AzureML target: a job in a workspace, followed from here, its run folder brought home."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from innereye_runtime.errors import ExitCode, InnerEyeError
from innereye_runtime.job.datasets import datasets_of
from innereye_runtime.job.resolve import Job
from innereye_runtime.manifest.model import Manifest
from innereye_runtime.manifest.serializer import dump
from innereye_runtime.run.paths import create_run_folder
from innereye_runtime.targets.azureml.exit_code import exit_code_of, has_failure
from innereye_runtime.targets.azureml.history import get_failure_message
from innereye_runtime.targets.azureml.job_uri import JobUri
from innereye_runtime.targets.azureml.local_files import refuse_missing
from innereye_runtime.targets.azureml.log_stream import follow, log_status
from innereye_runtime.targets.azureml.models import register_run
from innereye_runtime.targets.azureml.plan import AzureMLPlan, plan_for
from innereye_runtime.targets.azureml.restarting import set_checkpoints_aside
from innereye_runtime.targets.azureml.retries import RETRIES_TAG, resubmit, retries_tag
from innereye_runtime.targets.azureml.session import Session
from innereye_runtime.targets.azureml.settings import KEYS, find_workspace
from innereye_runtime.targets.azureml.snapshot import Snapshot, take_snapshot
from innereye_runtime.targets.azureml.submission import cancel, check, ensure_not_running, new_submission, submit
from innereye_runtime.targets.azureml.sweeps import download_sweep, log_of
from innereye_runtime.targets.azureml.transfer import (
    BlobPrefix,
    download_run,
    is_empty,
    reserve_run_folder,
    upload_run,
    upload_text,
)
from innereye_runtime.targets.base import RunHandle, RunStatus, StopResult
from innereye_runtime.targets.detached import record_detached
from innereye_runtime.targets.preflight import checks_of
from innereye_runtime.targets.preflight.result import CheckResult, failed, skipped
from innereye_runtime.targets.supervision import DetachedError, RetryBudget, secret_values, write_all


class AzureMLHandle:
    """A submitted job, and its successors where the manifest allows retries."""

    def __init__(self, session: Session, plan: AzureMLPlan, folder: Path, snapshot: Snapshot, *, stdout: int) -> None:
        self._session = session
        self._plan = plan
        self._folder = folder
        self._snapshot = snapshot
        self._stdout = stdout
        self._is_home = False
        self._address = self._submit()

    @property
    def run(self) -> str:
        """The run folder once it is here, until then the address of the job."""
        return str(self._folder if self._is_home else self._address)

    @property
    def place(self) -> BlobPrefix:
        return _place(self._plan, self._folder)

    def wait(self) -> int:
        """The exit code, as if the job had run here, when it is over and its run folder has come home.

        SIGINT and SIGTERM leave the job running and end the waiting; on a terminal, Ctrl-C asks first, and a second
        one, or the end of input, is the answer to leave it.

        Raises:
            OutputError: the run folder came home damaged.
            PreflightError: the service has not answered for ten minutes.
        """
        budget = RetryBudget(self._plan.manifest.compute.retries)
        is_over = False
        try:
            while True:
                status = self._follow()
                is_over = True
                exit_code = self._bring_home(status)
                # The service tries the trials of a sweep again, or does not.
                is_final = status in ("Completed", "Canceled") or self._plan.sweep is not None
                if is_final or not budget.take(exit_code):
                    self._is_home = True
                    return exit_code
                log_status(f"{self._address.job} ended with {exit_code}; the manifest allows another try")
                self._address, is_over = resubmit(self._session, self._address, budget.left), False
                log_status(f"submitted {self._address}")
        except (DetachedError, KeyboardInterrupt) as interruption:
            if not is_over:
                log_status(f"detached: the job keeps running; to follow it: innereye-run logs -f '{self._address}'")
            log_status(f"to download its run folder when it is done: innereye-run download '{self._address}'")
            self.detach()
            is_terminated = isinstance(interruption, DetachedError) and interruption.signum == signal.SIGTERM
            return ExitCode.STOPPED if is_terminated else ExitCode.INTERRUPTED
        except InnerEyeError as error:
            error.hint = f"the job was submitted; download it later: innereye-run download '{self._address}'"
            _remove_if_empty(self._folder)
            raise

    def detach(self) -> str:
        """The address of the job, which nobody follows from here on; `download --all` knows of it."""
        record_detached(self._folder.parent, self._folder.name, str(self._address))
        _remove_if_empty(self._folder)
        return str(self._address)

    def _bring_home(self, status: str) -> int:
        """The exit code of the job, whose run folder is here then."""
        if self._plan.sweep is not None:
            return download_sweep(self._session, self._address, self.place, self._folder).exit_code or ExitCode.DONE
        download_run(self._session, self.place, self._folder)
        exit_code = self._exit_code(status)
        if exit_code == ExitCode.DONE:
            register_run(self._session, self._address.job, self.place, self._folder)
        return exit_code

    def _exit_code(self, status: str) -> int:
        failure = ""
        if status == "Failed" and not has_failure(self._folder):
            # What the service says is all that there is to say.
            failure = get_failure_message(self._session, self._address.job)
            log_status(f"{self._address.job}: {failure or status}")
        return exit_code_of(status, self._folder, failure)

    def _follow(self) -> str:
        log = log_of(self._session, self._session.job(self._address.job))
        while True:
            try:
                return follow(self._session, self._address.job, log, write=self._print, tell=log_status)
            except DetachedError as detached:
                if detached.signum != signal.SIGINT or not (os.isatty(0) and os.isatty(2)):
                    raise
                match prompt_user("\n[d] leave the job running, [c] cancel it, or [Enter] keep following: "):
                    case "c":
                        cancel(self._session, self._address.job, waits=False)  # its log goes on
                        log_status(f"{self._address.job}: asked to save a checkpoint and end")
                    case "d":
                        raise

    def _print(self, piece: bytes) -> None:
        with suppress(OSError):  # nobody takes it any more (`| head`): the job goes on, and its folder has to come home
            write_all(self._stdout, piece)

    def _submit(self) -> JobUri:
        values = secret_values(self._plan.secrets, os.environ)
        submission = new_submission(self._folder.name)
        try:
            tags = {RETRIES_TAG: retries_tag(self._plan.manifest.compute.retries)}
            if self._plan.sweep is not None:
                tags = {}
                upload_text(self._session, self.place, "manifest.yaml", dump(self._plan.manifest))
            address = submit(self._session, self._plan, submission, self._snapshot, values, tags=tags)
        except KeyboardInterrupt:
            log_status(f"look for job {submission.name} in workspace {self._session.workspace} before you submit again")
            raise
        log_status(f"submitted {address}")
        return address


class AzureMLTarget:
    is_local = False
    has_sweeps = True

    def preflight(self, manifest: Manifest | None, outputs: Path, job: Job | None) -> Iterable[tuple[str, CheckResult]]:
        from innereye_runtime.targets.azureml.doctor import check_workspace

        yield from checks_of("azureml", manifest, outputs, datasets_of(job) if job else (), job)
        if job is None:
            yield "workspace", skipped("needs a manifest that is valid")
            return
        try:
            plan = plan_for(job)
        except InnerEyeError as error:
            yield "job", failed(error)
            return
        yield from check_workspace(plan)

    def attach(self, reference: str) -> RunHandle | None:
        from innereye_runtime.targets.azureml import run_handle

        return run_handle.attach(reference)

    def list(self) -> Sequence[RunStatus]:
        from innereye_runtime.targets.azureml import run_handle

        return run_handle.list_runs()

    def clean(self) -> Sequence[StopResult]:
        return ()

    def settings(self, job: Job) -> Iterable[tuple[str, str | None, str]]:
        """The settings of the workspace that the manifest leaves to the environment or to a config.json."""
        found = find_workspace(job.manifest.compute.azureml, os.environ, job.code_root)
        for key in KEYS:
            setting = getattr(found, key)
            if setting is None or setting.origin != "manifest":
                value, origin = (setting.value, setting.origin) if setting else (None, "set nowhere")
                yield f"compute.azureml.{key}", value, origin

    def plan(self, job: Job) -> AzureMLPlan:
        return plan_for(job)

    def submit(self, plan: AzureMLPlan, *, stdout: int) -> AzureMLHandle:
        """Checks what can be checked here, sends the code, and submits the job; exactly once, or not at all."""
        secret_values(plan.secrets, os.environ)
        settings = plan.workspace.complete()
        snapshot = take_snapshot(plan.code, without=plan.outputs_folder)
        for left_out in snapshot.left_out:
            log_status(f"not part of the job's code: {left_out}")
        log_status(f"code: {len(snapshot.files):,} files, {snapshot.bytes / 1e6:.1f} MB, from {plan.code}")
        for large in snapshot.large_folders():
            log_status(f"warning: {large}")
        snapshot.check_size()
        refuse_missing(plan.named_files, plan.code, [place for place, _ in snapshot.files])
        session = Session(*settings)
        check(plan)
        session.container(plan.datastore)  # the run folder has a place, or there is no job
        if plan.run_folder is not None:
            folder, is_new = plan.run_folder, False
            ensure_not_running(session, folder.name)
            place = _place(plan, folder)
            if is_empty(session, place):  # it ran elsewhere until now
                upload_run(session, folder, place)
            elif plan.restart:
                set_checkpoints_aside(session, place, folder)
        else:
            folder, is_new = _new_folder(session, plan, datetime.now(UTC)), True
        try:
            return AzureMLHandle(session, plan, folder, snapshot, stdout=stdout)
        except BaseException:
            if is_new:
                _remove_if_empty(folder)
            raise

    def detach(self, plan: AzureMLPlan) -> str:
        """The address of the job, as soon as it is queued."""
        return self.submit(plan, stdout=2).detach()


def _new_folder(session: Session, plan: AzureMLPlan, now: datetime) -> Path:
    """A new run folder, of a name that no other run has here or in the datastore."""
    folders: list[Path] = []
    try:
        while True:
            folders.append(create_run_folder(plan.outputs_folder, plan.model_name, now).root)
            if reserve_run_folder(session, _place(plan, folders[-1])):
                return folders.pop()
    finally:
        for folder in folders:
            _remove_if_empty(folder)


def _place(plan: AzureMLPlan, folder: Path) -> BlobPrefix:
    return BlobPrefix(datastore=plan.datastore, path=f"{plan.location}/{folder.name}")


def prompt_user(question: str) -> str:
    """The first letter of the answer, '' for none; `d` where nobody can answer any more."""
    sys.stderr.write(question)
    sys.stderr.flush()
    line = sys.stdin.readline()
    return line.strip().lower()[:1] if line else "d"


def _remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        return  # something came home already


TARGET = AzureMLTarget()
