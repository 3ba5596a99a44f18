"""Injected faults: each is a rule that matches requests, with a count."""

from __future__ import annotations

import fnmatch
import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Self, get_args

from azureml_emulator.errors import UsageError

Kind = Literal["429", "500", "503", "slow", "dropped", "answer-dropped", "token-expired"]
KINDS: tuple[Kind, ...] = get_args(Kind)
SLOW_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault in the first `times` requests that match; as text `KIND[@WHERE][:TIMES]`.

    429, 500, 503: respond with that status, 429 and 503 with Retry-After. slow: respond after 5 seconds. dropped: close
    the connection before the request is processed. answer-dropped: process the request, and close the connection within
    the response. token-expired: from then on, reject the tokens that were issued so far.
    """

    kind: Kind
    where: str = "*"
    """A shell pattern for "METHOD host/path", or a part of it."""
    times: int = 1

    @classmethod
    def parse(cls, text: str) -> Self:
        """The fault that `text` describes, for example `429`, `500@PUT */jobs/*`, `dropped@*blob*:3`.

        Raises:
            UsageError: it does not describe a fault.
        """
        match = re.fullmatch(r"([\w-]+?)(?:@(.*?))?(?::(\d+))?", text)
        kind = next((known for known in KINDS if match and match[1] == known), None)
        if match is None or kind is None:
            raise UsageError(
                f"'{text}' is not a fault", hint=f"use KIND[@WHERE][:TIMES], where KIND is one of {', '.join(KINDS)}"
            )
        return cls(kind=kind, where=match[2] or "*", times=int(match[3] or 1))

    def matches(self, request: str) -> bool:
        pattern = self.where if " " in self.where or self.where.startswith("*") else f"*{self.where}*"
        return fnmatch.fnmatchcase(request, pattern)


class FaultInjector:
    """The faults that are still to be injected. Threads may share it."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._remaining: list[int] = []
        self.done: list[tuple[Kind, str]] = []
        """The faults that were injected so far, each with its request."""
        for fault in faults:
            self.add(fault)

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._faults.append(fault)
            self._remaining.append(fault.times)

    def clear(self) -> None:
        """No further fault is injected."""
        with self._lock:
            self._remaining = [0] * len(self._remaining)

    def next_fault(self, request: str) -> Kind | None:
        """The fault to inject into `request` ("METHOD host/path"), which counts as injected; None: no fault."""
        with self._lock:
            for index, fault in enumerate(self._faults):
                if self._remaining[index] > 0 and fault.matches(request):
                    self._remaining[index] -= 1
                    self.done.append((fault.kind, request))
                    return fault.kind
        return None
