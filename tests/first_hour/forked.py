"""Runs `innereye-run` on many small projects, each in a fork of one process that has imported PyTorch and Lightning.

Run as a script with a JSON file of [[folder, words, variables], ...]: writes FOLDER.out for each, what the
command printed with its exit code. The process target's child is a fork too; nothing else of a user's way is replaced.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from innereye_runtime import entrypoint
from innereye_runtime.cli.main import main
from innereye_runtime.targets import process
from innereye_runtime.training.lifecycle import steps

assert steps  # what takes five seconds to import, once


class Fork:
    """In place of `subprocess.Popen`, for `python -P -m innereye_runtime.entrypoint ARGUMENTS`."""

    def __init__(
        self, words: list[str], *, env: dict[str, str], stdin: int | None = None, stdout: int, **options: Any
    ) -> None:
        assert words[1:4] == ["-P", "-m", process.ENTRYPOINT]
        self.pid = os.fork()
        if self.pid == 0:
            logging.getLogger("innereye_runtime").handlers.clear()  # the launcher's
            os.environ.clear()
            os.environ.update(env)
            if stdin is not None:
                os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(stdout, 1)
            leave(lambda: entrypoint.main(words[4:]), [process.ENTRYPOINT, *words[4:]])

    def wait(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def send_signal(self, signum: int) -> None:
        os.kill(self.pid, signum)


def leave(action: Any, argv: list[str]) -> None:
    """Ends this process with the exit code of `action`, as the interpreter would."""
    sys.argv = argv
    code = 70
    try:
        code = action()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def run(folder: Path, words: list[str], variables: dict[str, str]) -> None:
    shown = folder.with_suffix(".out")
    with shown.open("wb") as file:
        child = os.fork()
        if child == 0:
            os.chdir(folder)
            os.environ.update(variables)
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
            signal.alarm(120)
            leave(lambda: main(words), ["innereye-run", *words])
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        file.write(f"exit code: {code}\n".encode())


if __name__ == "__main__":
    process.subprocess = type("Forks", (), {**vars(subprocess), "Popen": Fork})  # type: ignore[attr-defined]
    for place, words, variables in json.loads(Path(sys.argv[1]).read_text()):
        run(Path(place), words, variables)
