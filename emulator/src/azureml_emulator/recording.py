"""The requests to the emulator with their responses, in memory and, optionally, in a file of JSON lines."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from azureml_emulator.errors import UsageError
from azureml_emulator.http import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request and its response."""

    host: str
    request: Request
    status: int
    answer: Any = None
    """The body of the response."""
    is_injected: bool = False
    """The response is an injected fault, and no service processed the request."""

    def __str__(self) -> str:
        return f"{self.request.verb} {self.host}{self.request.path}"

    def to_json(self) -> str:
        """One line, without credentials of the client: no Authorization header, no body of the token service."""
        described = asdict(self)
        described["request"]["headers"].pop("authorization", None)
        if self.host.startswith("login."):
            described["request"]["body"] = described["answer"] = None
        return json.dumps(described)

    @classmethod
    def from_json(cls, line: str) -> Self:
        described = json.loads(line)
        return cls(**{**described, "request": Request(**described["request"])})


class Recording:
    """All calls so far. Threads may share it."""

    def __init__(self, file: Path | None = None) -> None:
        """`file`: receives each call as a line, as soon as its response is known.

        Raises:
            UsageError: the file cannot be written.
        """
        self.calls: list[Call] = []
        self._lock = threading.Lock()
        self._file = None
        if file is not None:
            try:
                descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            except OSError as error:
                raise UsageError(f"cannot write the recording {file}: {error.strerror}") from None
            self._file = os.fdopen(descriptor, "w", encoding="utf-8", buffering=1)

    def add(self, call: Call) -> None:
        with self._lock:
            self.calls.append(call)
            if self._file is not None:
                self._file.write(call.to_json() + "\n")

    def close(self) -> None:
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None


def read_recording(file: Path) -> list[Call]:
    """The calls in a file that a `Recording` wrote."""
    return [Call.from_json(line) for line in file.read_text(encoding="utf-8").splitlines()]
