"""One container of a job, from its start to its removal."""

from __future__ import annotations

import shutil
import signal
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from innereye_runtime.run.paths import RunPaths
from innereye_runtime.targets.docker.client import EngineClient, RefusedError
from innereye_runtime.targets.docker.engine import map_engine_errors
from innereye_runtime.targets.docker.log_stream import LogStreamer
from innereye_runtime.targets.supervision import StopRequest


class Container:
    """One container: attach, start, wait, look again, remove. In that order no byte of its output is lost."""

    def __init__(self, client: EngineClient, identity: str, launch: Path | None, paths: RunPaths) -> None:
        self._client = client
        self._identity = identity
        self._launch = launch
        self._paths = paths
        self._started = False

    @property
    def started(self) -> bool:
        return self._started

    def run(self, asked: StopRequest, *, stdout: int) -> dict[str, Any]:
        """The engine's `State` of the container after its end. Asked to stop before its start, it never starts."""
        if asked.signum is not None:
            return {"ExitCode": 128 + asked.signum}
        chunks = self._client.attach(self._identity)
        self._client.start(self._identity)
        self._started = True
        if self._launch is not None:  # the container has the file by now, and keeps it when its name is gone here
            shutil.rmtree(self._launch.parent, ignore_errors=True)
        ended = threading.Event()
        threading.Thread(target=self._repeat, args=(asked, ended), daemon=True).start()
        output = LogStreamer(chunks, stdout=stdout, stderr=2)
        try:
            if asked.signum is not None:
                self.signal(asked.signum)
            self._client.wait(self._identity)
            output.finish(lambda: asked.made)
        finally:
            ended.set()
        state: dict[str, Any] = self._client.inspect(self._identity)["State"]
        return state

    def signal(self, signum: int) -> None:
        """Sends a signal to the container where it runs; does nothing where it does not yet, or no more."""
        if signum == signal.SIGINT and not self._paths.console_log.exists():
            signum = signal.SIGTERM  # Python would answer the other one with a traceback out of its imports
        if self._started:
            # Not by this thread: a signal's handler may have interrupted it where the SDK holds a lock.
            threading.Thread(target=self._send, args=(signum,), daemon=True).start()

    def _send(self, signum: int) -> None:
        with suppress(RefusedError, OSError):
            self._client.kill(self._identity, signum)

    def remove(self) -> None:
        with map_engine_errors():
            try:
                self._client.remove(self._identity)
            except RefusedError as refusal:
                if not refusal.not_found:
                    raise

    def _repeat(self, asked: StopRequest, ended: threading.Event) -> None:
        """Sends a signal of the first moments again: a container's first process misses one before it listens.

        Once there is a log the running side listens, and must not be disturbed while it saves.
        """
        while not ended.wait(0.5) and not self._paths.console_log.exists():
            if asked.signum is not None:
                self.signal(asked.signum)
