"""An emulator in the background: a process with its lock, its log and its environment variables in a state folder."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from azureml_emulator.errors import PreflightError, StartError, UsageError
from azureml_emulator.processes import is_alive, process_identity

START_SECONDS, STOP_SECONDS = 120, 120
POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What a running emulator publishes for `start` and `stop`."""

    process: str
    """Its identity."""
    environment: Mapping[str, str]

    @property
    def pid(self) -> int:
        return int(self.process.partition("-")[0])


def default_folder(environ: Mapping[str, str]) -> Path:
    base = environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "azureml-emulator"


def start(folder: Path, options: Sequence[str]) -> State:
    """The state of a new emulator with `options`, which runs when this returns.

    Raises:
        StartError: it does not start; with its error message.
        UsageError: `folder` cannot be created, or an emulator runs in it.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot create the state folder {folder}: {error.strerror}") from None
    if (state := running(folder)) is not None:
        raise _already_running(folder, state.pid)
    _log(folder).write_bytes(b"")
    with _log(folder).open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "azureml_emulator", "serve", "--state", str(folder), *options],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # neither Ctrl-C nor the end of the terminal reaches it
        )
    try:
        return _started(folder, process)
    except BaseException:
        process.terminate()
        process.wait()
        raise


def _started(folder: Path, process: subprocess.Popen[bytes]) -> State:
    deadline = time.monotonic() + START_SECONDS
    while True:
        state = running(folder)
        if state is not None and state.pid == process.pid:
            return state
        exit_code = process.poll()
        if exit_code is not None:
            message = _log(folder).read_text(errors="replace").strip().removeprefix("error: ")
            raise StartError(message or "the emulator did not start", exit_code=exit_code if exit_code > 0 else 1)
        if time.monotonic() > deadline:
            raise StartError(f"the emulator did not start within {START_SECONDS} seconds", exit_code=3)
        time.sleep(POLL_SECONDS)


def stop(folder: Path) -> tuple[State, str] | None:
    """The state and the log of the emulator that was stopped, after its end; None: no emulator runs in `folder`.

    Raises:
        PreflightError: it does not end.
    """
    state = running(folder)
    if state is None:
        return None
    os.kill(state.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while is_alive(state.process):
        if time.monotonic() > deadline:
            raise PreflightError(
                f"the emulator, process {state.pid}, did not end within {STOP_SECONDS} seconds",
                hint=f"kill -9 {state.pid}; azureml-emulator clean",
            )
        time.sleep(POLL_SECONDS)
    return state, _log(folder).read_text(errors="replace")


def running(folder: Path) -> State | None:
    """The state of the emulator that runs in `folder`; None: there is none."""
    try:
        state = State(**json.loads(_state(folder).read_text()))
    except FileNotFoundError:
        return None
    return state if is_alive(state.process) else None


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds the lock of `folder` for the process of the emulator; removes its state at the end.

    Raises:
        UsageError: another process has the lock.
    """
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _already_running(folder) from None
        try:
            yield
        finally:
            _state(folder).unlink(missing_ok=True)


def publish(folder: Path, environment: Mapping[str, str]) -> None:
    """Writes the state of this process: the emulator is ready. Only its user can read it, as it has the secret."""
    new = folder / "state.new"
    new.touch(mode=0o600)
    new.write_text(json.dumps(asdict(State(process=process_identity(), environment=environment))))
    new.replace(_state(folder))


def _already_running(folder: Path, pid: int | None = None) -> UsageError:
    who = f" as process {pid}" if pid else ""
    return UsageError(
        f"an emulator is already running in {folder}{who}",
        hint="azureml-emulator stop ends it; --state FOLDER starts another one",
    )


def _state(folder: Path) -> Path:
    return folder / "state.json"


def _log(folder: Path) -> Path:
    return folder / "emulator.log"
