"""Work in a process of its own, which ends with it: what is imported for a moment takes no memory of a process that
follows a job for days.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from innereye_runtime.errors import InnerEyeError, PreflightError
from innereye_runtime.targets.azureml.service_error import ServiceError

T = TypeVar("T")


def run_apart(function: Callable[..., T], *arguments: object) -> T:
    """What `function`, one of a module, returns or raises. What it needs and what it gives go through pipes alone. It
    ends with this process; Ctrl-C is passed on to it once, whoever else gets that.
    """
    with subprocess.Popen(
        [sys.executable, "-P", "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        process_group=0,
    ) as child:
        assert child.stdin and child.stdout
        try:
            with suppress(BrokenPipeError):
                pickle.dump((function, arguments), child.stdin)
                child.stdin.close()
            told = child.stdout.read()
        except KeyboardInterrupt:
            child.send_signal(signal.SIGINT)
            child.wait()
            raise
        except BaseException:
            child.kill()
            raise
    if not told:
        raise PreflightError(f"the process for {function.__name__} ended with exit code {child.returncode}")
    is_done, outcome = pickle.loads(told)
    if not is_done:
        raise outcome
    result: T = outcome
    return result


def main() -> None:
    """Runs the function that standard input has; its outcome goes to standard output, and nothing else does."""
    from innereye_runtime.run.parent_death import signal_at_parent_death

    signal_at_parent_death(signal.SIGTERM)
    with os.fdopen(os.dup(1), "wb") as answer:
        os.dup2(2, 1)
        function, arguments = pickle.load(sys.stdin.buffer)
        pickle.dump(_outcome(function, arguments), answer)


def _outcome(function: Callable[..., Any], arguments: tuple[object, ...]) -> tuple[bool, Any]:
    try:
        return True, function(*arguments)
    except (InnerEyeError, ServiceError, KeyboardInterrupt) as error:
        return False, error
    except Exception as error:
        traceback.print_exc()
        return False, RuntimeError(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
