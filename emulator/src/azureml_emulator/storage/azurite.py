"""Azurite, Microsoft's storage emulator, as a process of its own with TLS and one account with a generated key. The
reaper, its parent process, ends it when this process ends, even by kill -9.
"""

from __future__ import annotations

import base64
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from azureml_emulator.errors import PreflightError
from azureml_emulator.network.certificates import Certificates

START_SECONDS = 30


class Azurite:
    """A running Azurite; `stop` ends it."""

    def __init__(
        self, command: list[str], root: Path, certificates: Certificates, account: str, *, owner_label: str
    ) -> None:
        """Starts it, and returns when it accepts connections. If this process is killed, `root` is deleted, and so is
        everything on the Docker engine with `owner_label`.

        Raises:
            PreflightError: it does not start; with its output.
        """
        self.account = account
        self.key = base64.b64encode(secrets.token_bytes(64)).decode()
        self.port = free_port()
        folder = root / "azurite"
        folder.mkdir(parents=True, exist_ok=True)
        output = folder / "azurite.log"
        options = {
            "--blobHost": "127.0.0.1",
            "--blobPort": str(self.port),
            "--location": str(folder),
            "--cert": str(certificates.certificate),
            "--key": str(certificates.key),
            "--oauth": "basic",
        }
        # Azurite sends telemetry by default, and rejects the newest SDK's version of the protocol.
        flags = ["--skipApiVersionCheck", "--disableTelemetry", "--silent"]
        with output.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-I", str(Path(__file__).with_name("reaper.py")), str(root), owner_label),
                    *(*command, *(word for option in options.items() for word in option), *flags),
                ],
                env={**os.environ, "AZURITE_ACCOUNTS": f"{account}:{self.key}"},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,  # Ctrl-C in the terminal is for the client; `stop` ends this process
            )
        deadline = time.monotonic() + START_SECONDS
        while not _accepts_connections(self.port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise PreflightError(f"Azurite did not start: {output.read_text(errors='replace').strip()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Ends it. A second call does nothing."""
        if self._process.poll() is None:
            self._process.communicate(b".")  # the reaper kills it if it does not end by itself


def find_azurite(folders: Iterable[Path]) -> list[str]:
    """The command that starts Azurite's blob service: from `node_modules` in one of `folders`, else from PATH.

    Raises:
        PreflightError: Azurite is not installed.
    """
    node = shutil.which("node")
    for folder in folders:
        script = folder / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
        if script.is_file() and node is not None:
            return [node, str(script)]
    program = shutil.which("azurite-blob")
    if program is None:
        raise PreflightError(
            "the emulator stores blobs in Azurite, which is not installed",
            hint="npm install azurite (in the project's folder, or -g)",
        )
    return [program]


def free_port() -> int:
    """A port of 127.0.0.1 that is free at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _accepts_connections(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
