"""Following a submitted job until its run folder is here: for days, so that little is imported for it."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from innereye_runtime.errors import ExitCode, InnerEyeError
from innereye_runtime.manifest.model import Retries
from innereye_runtime.targets.azureml.apart import run_apart
from innereye_runtime.targets.azureml.blob_prefix import BlobPrefix
from innereye_runtime.targets.azureml.exit_code import exit_code_of, has_failure
from innereye_runtime.targets.azureml.history import get_failure_message
from innereye_runtime.targets.azureml.job_uri import JobUri
from innereye_runtime.targets.azureml.log_stream import follow, log_status
from innereye_runtime.targets.azureml.session import Session, open_session
from innereye_runtime.targets.azureml.trials import log_of
from innereye_runtime.targets.detached import record_detached
from innereye_runtime.targets.supervision import DetachedError, RetryBudget, write_all

_HELD = (signal.SIGINT, signal.SIGTERM)
_handlers: dict[signal.Signals, Any] = {}
"""What was there before they were held."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmittedJob:
    """All that is needed to follow a job."""

    workspace: tuple[str, str, str]
    """Subscription, resource group, workspace."""
    name: str
    folder: str
    """The run folder on this machine."""
    datastore: str
    path: str
    """Of the run folder, in the datastore."""
    retries: Mapping[str, int]
    is_sweep: bool


def handle_of(text: str, *, stdout: int) -> AzureMLHandle:
    """The handle whose `as_text` is `text`."""
    data = json.loads(text)
    return AzureMLHandle(SubmittedJob(**{**data, "workspace": tuple(data["workspace"])}), stdout=stdout)


class AzureMLHandle:
    """A submitted job, and its successors where the manifest allows retries."""

    def __init__(self, job: SubmittedJob, *, stdout: int) -> None:
        self._job = job
        self._session = open_session(*job.workspace)
        self._address = self._session.address(job.name)
        self._folder = Path(job.folder)
        self._place = BlobPrefix(datastore=job.datastore, path=job.path)
        self._stdout = stdout
        self._is_home = False

    @property
    def run(self) -> str:
        """The run folder once it is here, until then the address of the job."""
        return str(self._folder if self._is_home else self._address)

    def as_text(self) -> str:
        """What `handle_of` takes, in another process."""
        return json.dumps(asdict(self._job))

    def wait(self) -> int:
        """The exit code, as if the job had run here, when it is over and its run folder has come home.

        SIGINT and SIGTERM leave the job running and end the waiting; on a terminal, Ctrl-C asks first, and a second
        one, or the end of input, is the answer to leave it.

        Raises:
            OutputError: the run folder came home damaged.
            PreflightError: the service has not answered for ten minutes.
        """
        budget = RetryBudget(Retries(**self._job.retries))
        is_over = False
        previous = _handlers.get(signal.SIGTERM, signal.getsignal(signal.SIGTERM))
        try:
            release_signals(on_terminate=_detach_by)
            while True:
                status = self._follow()
                is_over = True
                exit_code = self._bring_home(status)
                # The service tries the trials of a sweep again, or does not.
                is_final = status in ("Completed", "Canceled") or self._job.is_sweep
                if is_final or not budget.take(exit_code):
                    self._is_home = True
                    return exit_code
                log_status(f"{self._address.job} ended with {exit_code}; the manifest allows another try")
                self._address, is_over = run_apart(resubmit_in, self._address, budget.left), False
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
            remove_if_empty(self._folder)
            raise
        finally:
            signal.signal(signal.SIGTERM, previous)

    def detach(self) -> str:
        """The address of the job, which nobody follows from here on; `download --all` knows of it."""
        record_detached(self._folder.parent, self._folder.name, str(self._address))
        remove_if_empty(self._folder)
        release_signals()  # one that was held ends this process: the record is there
        return str(self._address)

    def _bring_home(self, status: str) -> int:
        """The exit code of the job, whose run folder is here then."""
        if self._job.is_sweep:
            from innereye_runtime.targets.azureml.sweeps import download_sweep

            return download_sweep(self._session, self._address, self._place, self._folder).exit_code or ExitCode.DONE
        from innereye_runtime.targets.azureml.transfer import download_run

        download_run(self._session, self._place, self._folder)
        exit_code = self._exit_code(status)
        if exit_code == ExitCode.DONE:
            from innereye_runtime.targets.azureml.models import register_run

            register_run(self._session, self._address.job, self._place, self._folder)
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
                        run_apart(cancel_in, self._address)  # its log goes on
                        log_status(f"{self._address.job}: asked to save a checkpoint and end")
                    case "d":
                        raise

    def _print(self, piece: bytes) -> None:
        with suppress(OSError):  # nobody takes it any more (`| head`): the job goes on, and its folder has to come home
            write_all(self._stdout, piece)


def hold_signals() -> None:
    """From now on SIGINT and SIGTERM wait for `release_signals`, also where another program takes the process over:
    what they have to say of a job that is submitted is said where it is followed.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)
    for signum in _HELD:  # they may come to another thread, as those of the SDK: the main one keeps them
        _handlers[signum] = signal.signal(signum, lambda number, _: signal.raise_signal(number))


def release_signals(*, on_terminate: Callable[[int, Any], None] | None = None) -> None:
    """`on_terminate`: the handler of SIGTERM from here on; None: the one that was there before."""
    for signum in tuple(_handlers):
        signal.signal(signum, _handlers.pop(signum))
    if on_terminate is not None:
        signal.signal(signal.SIGTERM, on_terminate)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD)


def _detach_by(signum: int, frame: Any) -> None:
    """Ends the following, wherever it is; a second one does not cut off what it has to say."""
    signal.signal(signum, signal.SIG_IGN)
    raise DetachedError(signum)


def resubmit_in(address: JobUri, left: Retries) -> JobUri:
    """As `resubmit`, by its own session."""
    from innereye_runtime.targets.azureml.retries import resubmit

    return resubmit(_own_session(address), address, left)


def cancel_in(address: JobUri) -> None:
    """Asks the service to end the job."""
    from innereye_runtime.targets.azureml.submission import cancel

    cancel(_own_session(address), address.job, waits=False)


def _own_session(address: JobUri) -> Session:
    return Session(address.subscription_id, address.resource_group, address.workspace, signs_in_here=True)


def prompt_user(question: str) -> str:
    """The first letter of the answer, '' for none; `d` where nobody can answer any more."""
    sys.stderr.write(question)
    sys.stderr.flush()
    line = sys.stdin.readline()
    return line.strip().lower()[:1] if line else "d"


def remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        return  # something came home already
