"""The local Docker engine, by its command line."""

from __future__ import annotations

import subprocess
from pathlib import Path

from innereye_runtime.errors import PreflightError

PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
"""Build arguments that Docker knows by itself, and keeps out of the image."""


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


def start(words: list[str], log: Path) -> subprocess.Popen[bytes]:
    """`docker WORDS` as a process of its own, what it prints going to the file `log`."""
    with log.open("wb") as file:
        return subprocess.Popen(
            ["docker", *words],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            process_group=0,  # Ctrl-C in the terminal is for the client
        )
