"""What a person sees: colour where one looks, errors in one shape, and nothing of it in a pipe."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from innereye_runtime.errors import ExitCode, InnerEyeError, ManifestError, PreflightError, file_system_error

if TYPE_CHECKING:
    from innereye_runtime.diagnostics.diagnostic import Diagnostic

BOLD, RED, YELLOW, CYAN, DIM, RESET = "\33[1m", "\33[1;31m", "\33[1;33m", "\33[36m", "\33[2m", "\33[0m"


def run_with_error_handling(action: Callable[[], int]) -> int:
    """The exit code of `action`. Its errors are shown on standard error; one that is not ours is a bug, and passes.

    A reader of either stream who has gone (`| head`) changes nothing of it.
    """
    _open_standard_streams()
    try:
        code = action()
    except InnerEyeError as error:
        code = show_error(error)
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
    except BrokenPipeError:
        _discard(sys.stdout)
        return ExitCode.DONE
    except OSError as error:
        reported = file_system_error(error)
        if reported is None:
            raise
        code = show_error(reported)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _discard(sys.stdout)
    except OSError as error:
        _discard(sys.stdout)
        return code or show_error(PreflightError(_unwritable(error)))
    return code


def print_result(text: str) -> None:
    """Writes the result of a job to standard output. Where that can't be written any more the job is done all the same,
    so nothing is raised: a reader who has gone is left alone, and a full disk is told.
    """
    try:
        print(text, flush=True)
    except BrokenPipeError:
        _discard(sys.stdout)
    except OSError as error:
        _discard(sys.stdout)
        eprint(f"{paint('error:', RED, sys.stderr)} {_unwritable(error)}; it would have been: {text}")


def _unwritable(error: OSError) -> str:
    return f"standard output can't be written: {error.strerror}"


def _open_standard_streams() -> None:
    """Opens /dev/null for each standard stream that is closed (`>&-`): the next file or socket would get its number,
    and all that is printed.
    """
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # gets the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(descriptor, mode, closefd=False))


def _discard(stream: TextIO) -> None:
    """Lets what is still to come go nowhere; without this, the interpreter complains when it flushes at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def use_color(stream: TextIO, environ: Mapping[str, str] | None = None) -> bool:
    """Whether to write colours to `stream`: NO_COLOR says no, FORCE_COLOR yes, else a terminal that can show them."""
    environ = os.environ if environ is None else environ
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR"):
        return True
    return environ.get("TERM") != "dumb" and stream.isatty()


def paint(text: str, style: str, stream: TextIO) -> str:
    return f"{style}{text}{RESET}" if use_color(stream) else text


def show_error(error: InnerEyeError) -> int:
    """The exit code of `error`, after showing it on standard error: its diagnostics, or its message and its hint."""
    if isinstance(error, ManifestError):
        show_diagnostics(error.diagnostics)
    else:
        eprint(f"{paint('error:', RED, sys.stderr)} {error}")
        if error.hint:
            eprint(f"{paint('hint:', CYAN, sys.stderr)} {error.hint}")
    return int(error.exit_code)


def show_diagnostics(diagnostics: Sequence[Diagnostic]) -> None:
    """Writes the diagnostics to standard error, as a compiler does."""
    if diagnostics:
        from innereye_runtime.diagnostics.rendering import render

        eprint(render(diagnostics, "text", colour=use_color(sys.stderr)).rstrip("\n"))


@contextmanager
def log_to_stderr() -> Iterator[None]:
    """Inside, what this program logs goes to standard error."""
    import logging

    log, handler = logging.getLogger("innereye_runtime"), logging.StreamHandler(sys.stderr)
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)


def eprint(text: str) -> None:
    """Writes a line to standard error, where everything goes that is no result. Nobody has to be there to read it."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        _discard(sys.stderr)
