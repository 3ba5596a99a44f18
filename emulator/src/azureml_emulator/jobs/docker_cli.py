"""The local Docker engine, by its command line."""

from __future__ import annotations

import subprocess
from pathlib import Path

from azureml_emulator.errors import PreflightError

PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
"""Build arguments that Docker predefines, and does not store in the image."""


def docker(*words: str, check: bool = True) -> str:
    """The output of `docker WORDS`, stripped.

    Raises:
        PreflightError: docker is not installed or, with `check`, fails; with its error message.
    """
    try:
        done = subprocess.run(["docker", *words], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    except FileNotFoundError:
        raise PreflightError("the emulator runs jobs in Docker, which is not installed") from None
    if check and done.returncode:
        raise PreflightError(f"docker {words[0]}: {done.stderr.strip()}")
    return done.stdout.strip()


def start(words: list[str], log: Path) -> subprocess.Popen[bytes]:
    """`docker WORDS` as a process of its own, with its output in the file `log`."""
    with log.open("wb") as file:
        return subprocess.Popen(
            ["docker", *words],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            process_group=0,  # Ctrl-C in the terminal is for the client
        )
