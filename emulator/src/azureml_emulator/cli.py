"""`azureml-emulator`: runs a command with an Azure Machine Learning workspace of its own, on this machine."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from azureml_emulator import __version__, background
from azureml_emulator.errors import EmulatorError, UsageError
from azureml_emulator.faults import Fault
from azureml_emulator.options import Arguments, parse_data, parser

if TYPE_CHECKING:
    from azureml_emulator.emulator import Emulator

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of the command in `argv` (default: the arguments of this process)."""
    try:
        code = _dispatch(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
        return code
    except EmulatorError as error:
        _say(f"error: {error}")
        if error.hint:
            _say(f"hint: {error.hint}")
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader of a pipe ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _dispatch(words: list[str]) -> int:
    name, rest = (words[0], words[1:]) if words and words[0] in COMMANDS else ("", words)
    own, command = _split(rest)
    arguments = parser(name).read(own)
    if arguments.help:
        print(parser(name).format_help(), end="")
        return 0
    if command and name:
        raise UsageError(f"'{name}' does not take a command", hint=parser(name).usage_line())
    return COMMANDS[name](arguments, own, command)


def _split(words: list[str]) -> tuple[list[str], list[str]]:
    if "--" not in words:
        return words, []
    place = words.index("--")
    if place == len(words) - 1:
        raise UsageError("missing command after '--'", hint=parser("").usage_line())
    return words[:place], words[place + 1 :]


# -- commands ------------------------------------------------------------------


def _run(arguments: Arguments, own: list[str], command: list[str]) -> int:
    """The exit code of `command`, run with an emulator; without a command, serves until Ctrl-C."""
    if arguments.version:
        print(f"azureml-emulator {__version__}")
        return 0
    if arguments.limits:
        from azureml_emulator.limits import LIMITS

        print("The emulator does not model:", *(f"- {limit}" for limit in LIMITS), sep="\n")
        return 0
    if command:
        with _open(arguments) as emulator:
            return _follow(command, emulator)
    with _stop_signal() as stopped, _open(arguments) as emulator:
        print(_exports(emulator.environment()))
        print("# the emulator is running; Ctrl-C stops it", flush=True)
        stopped.wait()
    return 0


def _start(arguments: Arguments, own: list[str], command: list[str]) -> int:
    folder = _state_folder(arguments)
    _checked(arguments)
    state = background.start(folder, own)
    print(_exports(state.environment))
    _say(f"azureml-emulator: process {state.pid} is running; 'azureml-emulator stop' ends it")
    return 0


def _serve(arguments: Arguments, own: list[str], command: list[str]) -> int:
    """What `start` runs in the background."""
    folder = _state_folder(arguments)
    with _stop_signal() as stopped, background.locked(folder), _open(arguments) as emulator:
        background.publish(folder, emulator.environment())
        stopped.wait()
    return 0


def _stop(arguments: Arguments, own: list[str], command: list[str]) -> int:
    folder = _state_folder(arguments)
    found = background.stop(folder)
    if found is None:
        _say(f"no emulator is running in {folder}")
        return 0
    state, log = found
    print("unset " + " ".join(state.environment))
    _say(log.rstrip("\n"))
    return 0


def _clean(arguments: Arguments, own: list[str], command: list[str]) -> int:
    from azureml_emulator.jobs.cleanup import remove_stale

    removed = remove_stale()
    for resource in removed:
        print(f"{resource.kind} {resource.name}: removed")
    if not removed:
        _say("nothing to remove")
    return 0


COMMANDS: Mapping[str, Callable[[Arguments, list[str], list[str]], int]] = {
    "": _run,
    "start": _start,
    "serve": _serve,
    "stop": _stop,
    "clean": _clean,
}
"""Each takes its options, the same as words, and the command after `--`."""


# -- parts -----------------------------------------------------------------------


def _state_folder(arguments: Arguments) -> Path:
    return (arguments.state or background.default_folder(os.environ)).absolute()


def _checked(arguments: Arguments) -> tuple[list[tuple[str, str, Path]], list[Fault]]:
    """The data assets and the faults.

    Raises:
        UsageError: one of them is not valid.
    """
    return [parse_data(text) for text in arguments.data], [Fault.parse(text) for text in arguments.fault]


@contextmanager
def _open(arguments: Arguments) -> Iterator[Emulator]:
    """A running emulator; prints its summary at the end of the block."""
    data, faults = _checked(arguments)
    from azureml_emulator.emulator import open_emulator

    with open_emulator(
        faults=faults,
        preemptions=arguments.preempt,
        restarts_preempted=not arguments.no_restart,
        identity_stores=arguments.identity_stores,
        output_store=arguments.output_store,
        record=arguments.record,
    ) as emulator:
        for name, version, folder in data:
            emulator.add_data(name, folder, version=version)
        yield emulator
        _print_summary(emulator)


@contextmanager
def _stop_signal() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set, in the block."""
    stopped = threading.Event()
    previous = {signum: signal.signal(signum, lambda *_: stopped.set()) for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for signum, handler in previous.items():
            signal.signal(signum, handler)


def _follow(command: list[str], emulator: Emulator) -> int:
    """The exit code of `command`, which receives this process's signals."""
    try:
        child = subprocess.Popen(command, env={**os.environ, **emulator.environment()})
    except OSError as error:
        raise UsageError(f"cannot run {command[0]}: {error.strerror}") from None
    # The terminal sends Ctrl-C to both processes; this one waits until the command has ended.
    previous = {
        signal.SIGINT: signal.signal(signal.SIGINT, signal.SIG_IGN),
        signal.SIGTERM: signal.signal(signal.SIGTERM, lambda signum, frame: child.send_signal(signum)),
    }
    try:
        returned = child.wait()
    finally:
        for signum, handler in previous.items():
            signal.signal(signum, handler)
    return returned if returned >= 0 else 128 - returned


def _exports(environment: Mapping[str, str]) -> str:
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in environment.items())


def _print_summary(emulator: Emulator) -> None:
    hosts, refused = sorted(set(emulator.proxy.connected)), sorted(set(emulator.proxy.refused))
    _say(f"azureml-emulator: {len(emulator.calls)} calls")
    _say(f"  hosts: {', '.join(hosts) or 'none'}; other hosts, refused: {', '.join(refused) or 'none'}")
    for kind, request in emulator.faults.done:
        _say(f"  fault: {kind} for {request.replace(emulator.workspace.id, '/...')}")
    for job in emulator.workspace.jobs.values():
        end = f": {job.error}" if job.error else "" if job.is_finished else ": canceled by the end of the emulator"
        _say(f"  job {job.name}: {' > '.join(job.history)}{end}")
    for name in emulator.missing_data:
        _say(f"  data asset {name} was requested and does not exist; add it with --data {name}=FOLDER")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
