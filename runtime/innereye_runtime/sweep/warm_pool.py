"""Trials that start from a process in which all is imported: a second of training then takes a second, not five."""

from __future__ import annotations

import json
import logging
import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from innereye_runtime.run.process_id import is_alive

log = logging.getLogger("innereye_runtime")

_MODULE = "innereye_runtime.cli.warm"
"""Started by its name: it is the command line's, above this floor."""


@dataclass(slots=True)
class WarmChild:
    """A trial's process, as `Popen` would have it; its parent is the pool's process."""

    pool: WarmPool
    pid: int
    identity: str

    def poll(self) -> int | None:
        """The exit code, or minus a signal's number; None while it runs."""
        self.pool.listen()
        if self.pid in self.pool.ended:
            return self.pool.ended[self.pid]
        return None if self.pool.is_open or is_alive(self.identity) else -9

    def send_signal(self, signum: int) -> None:
        if self.pid not in self.pool.ended:
            os.kill(self.pid, signum)


class WarmPool:
    def __init__(self, manifest: Path, code_root: Path, log_file: Path, environment: Mapping[str, str]) -> None:
        """`environment` is that of each trial: libraries read theirs when they are loaded, which is here."""
        with log_file.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", _MODULE, str(manifest), str(code_root)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                env={**os.environ, **environment},
                process_group=0,
            )
        assert self._process.stdout is not None
        os.set_blocking(self._process.stdout.fileno(), False)
        self.ended: dict[int, int] = {}
        self.is_open = True
        """Whether its process is there."""
        self.refusal = ""
        self._started: dict[str, int] = {}
        self._ready = False
        self._unread = b""

    @property
    def is_ready(self) -> bool:
        """Whether trials can start; False as long as it imports, and where it can't be used."""
        self.listen()
        return self._ready and self.is_open

    @property
    def is_importing(self) -> bool:
        self.listen()
        return self.is_open and not self._ready and not self.refusal

    def start(self, trial: str, argv: list[str], log_file: Path) -> int | None:
        """The number of the process that runs the trial; None where the pool is gone."""
        assert self._process.stdin is not None
        request = json.dumps({"trial": trial, "argv": argv, "log": str(log_file)})
        try:
            self._process.stdin.write(f"{request}\n".encode())
            self._process.stdin.flush()
        except OSError:
            self.is_open = False
            return None
        while trial not in self._started and self.is_open:
            self.listen(wait=True)
        return self._started.pop(trial, None)

    def listen(self, *, wait: bool = False) -> None:
        """Takes what the process has reported, with `wait` at least something."""
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        os.set_blocking(descriptor, wait)
        try:
            data = os.read(descriptor, 1 << 16) if self.is_open else b""
        except BlockingIOError:
            return
        if not data:
            self.is_open = False
            return
        *lines, self._unread = (self._unread + data).split(b"\n")
        for line in lines:
            self._take(json.loads(line))

    def _take(self, answer: dict[str, Any]) -> None:
        match answer:
            case {"ready": True}:
                self._ready = True
            case {"refused": reason}:
                self.refusal = str(reason)
                log.info("trials start cold: %s", reason)
            case {"trial": trial, "pid": pid}:
                self._started[trial] = pid
            case {"pid": pid, "exit_code": exit_code}:
                self.ended[pid] = exit_code

    def wait(self, seconds: float) -> None:
        """Returns when the process has something to report, at the latest after so many seconds."""
        if not self.is_open:
            time.sleep(seconds)
            return
        assert self._process.stdout is not None
        select.select([self._process.stdout], [], [], seconds)

    def close(self) -> None:
        """Ends the process; trials that still run go on."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(OSError):  # it is gone already, and takes nothing
            self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
