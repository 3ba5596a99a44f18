"""What a person sees: colour where one looks, errors in one shape, and nothing of it in a pipe."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from innereye_runtime.errors import ExitCode, InnerEyeError, ManifestError

if TYPE_CHECKING:
    from innereye_runtime.manifest.diagnostics import Diagnostic

BOLD, RED, YELLOW, CYAN, DIM, RESET = "\33[1m", "\33[1;31m", "\33[1;33m", "\33[36m", "\33[2m", "\33[0m"


def guarded(action: Callable[[], int]) -> int:
    """The exit code of `action`. Its errors are shown on standard error; one that is not ours is a bug, and passes."""
    try:
        code = action()
        sys.stdout.flush()
    except InnerEyeError as error:
        return show_error(error)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # The reader (`| head`) has gone; without this, the interpreter complains when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.DONE
    return code


def colourful(stream: TextIO, environ: Mapping[str, str] | None = None) -> bool:
    """Whether to write colours to `stream`: NO_COLOR says no, FORCE_COLOR yes, else a terminal that can show them."""
    environ = os.environ if environ is None else environ
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR"):
        return True
    return environ.get("TERM") != "dumb" and stream.isatty()


def paint(text: str, style: str, stream: TextIO) -> str:
    return f"{style}{text}{RESET}" if colourful(stream) else text


def show_error(error: InnerEyeError) -> int:
    """The exit code of `error`, after showing it on standard error: its diagnostics, or its message and its hint."""
    if isinstance(error, ManifestError):
        show_diagnostics(error.diagnostics)
    else:
        say(f"{paint('error:', RED, sys.stderr)} {error}")
        if error.hint:
            say(f"{paint('hint:', CYAN, sys.stderr)} {error.hint}")
    return int(error.exit_code)


def show_diagnostics(diagnostics: Sequence[Diagnostic]) -> None:
    """Writes the diagnostics to standard error, as a compiler does."""
    if diagnostics:
        from innereye_runtime.manifest.rendering import render

        sys.stderr.write(render(diagnostics, "text", colour=colourful(sys.stderr)).rstrip("\n") + "\n")


@contextmanager
def shown_log() -> Iterator[None]:
    """Inside, what this program logs goes to standard error."""
    import logging

    log, handler = logging.getLogger("innereye_runtime"), logging.StreamHandler(sys.stderr)
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)


def say(text: str) -> None:
    """Writes a line to standard error, where everything goes that is no result."""
    print(text, file=sys.stderr, flush=True)
