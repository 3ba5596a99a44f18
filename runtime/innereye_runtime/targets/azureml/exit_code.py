"""How a job ended, as if it had run here: the exit code that its run.json has, else what its state stands for."""

from __future__ import annotations

from pathlib import Path

from innereye_runtime.errors import ExitCode, OutputError, UsageError
from innereye_runtime.run.paths import RunPaths
from innereye_runtime.run.record import RunRecord
from innereye_runtime.targets.azureml.history import exit_status_in


def exit_code_of(status: str, folder: Path, failure: str = "") -> int:
    """The exit code of a job that is over. `folder`: its run folder, as far as it came home. `failure`: what the
    service says.

    A run.json that says `running` is that of a job whose machine was taken away, or that was killed.

    Raises:
        OutputError: the job did what it had to, and its run folder, which the platform uploads, did not arrive whole.
    """
    record = _record(folder)
    told = record.exit_code if record and record.state != "running" else None
    match status:
        case "Completed":
            if not told and not RunPaths(folder).outputs_json.exists():
                raise OutputError(
                    f"the job is complete, and its run folder is not: {folder} has no outputs.json",
                    hint="download it again with innereye-run download, or see the job's outputs in the studio",
                )
            return told or ExitCode.DONE
        case "Canceled":
            # A cancelled job ends with 143, whatever its own clean-up made of the signal; unless it was done already.
            return told if told in (ExitCode.STOPPED, ExitCode.INTERRUPTED) else ExitCode.STOPPED
        case _:
            if told:
                return told
            # Killed in the middle of training without an exit status: preempted, and not started again.
            killed = ExitCode.STOPPED if record is not None else ExitCode.USER_CODE
            return exit_status_in(failure) or killed


def has_failure(folder: Path) -> bool:
    """Whether the run.json that was downloaded has why the job failed; else the service has to be asked."""
    record = _record(folder)
    return record is not None and record.state != "running" and bool(record.exit_code)


def _record(folder: Path) -> RunRecord | None:
    try:
        return RunRecord.read(RunPaths(folder))
    except UsageError:
        return None
