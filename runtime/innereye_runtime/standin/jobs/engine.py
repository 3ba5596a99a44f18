"""The local Docker engine, by its command line."""

from __future__ import annotations

import subprocess
from pathlib import Path

from innereye_runtime.errors import PreflightError


def docker(*words: str, check: bool = True) -> str:
    """What `docker WORDS` printed, stripped.

    Raises:
        PreflightError: there is no docker, or it failed; with what it said. Not where `check` is False.
    """
    try:
        done = subprocess.run(["docker", *words], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    except FileNotFoundError:
        raise PreflightError("the stand-in runs jobs in Docker, which is not installed here") from None
    if check and done.returncode:
        raise PreflightError(f"docker {words[0]}: {done.stderr.strip()}")
    return done.stdout.strip()


def start(words: list[str], errors: Path) -> subprocess.Popen[bytes]:
    """`docker WORDS` as a process of its own, whose own complaints go to the file `errors`."""
    with errors.open("wb") as file:
        return subprocess.Popen(
            ["docker", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=file,
            process_group=0,  # Ctrl-C in the terminal is for the client
        )


def build(context: Path, dockerfile: str, tag: str) -> None:
    """Builds an image.

    Raises:
        PreflightError: it does not build; with what docker said.
    """
    docker("build", "--quiet", "--tag", tag, "--file", str(context / dockerfile), str(context))
