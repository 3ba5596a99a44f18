"""What the stand-in is told to do wrong: each fault a rule for requests, with a count."""

from __future__ import annotations

import fnmatch
import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Self, get_args

from innereye_runtime.errors import UsageError

Kind = Literal["429", "500", "503", "slow", "dropped", "answer-dropped", "token-expired"]
KINDS: tuple[Kind, ...] = get_args(Kind)
SLOW_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """The first `times` requests that fit are answered wrongly; as text `KIND[@WHERE][:TIMES]`.

    429, 500, 503: that status, 429 and 503 with Retry-After. slow: the answer comes after 5 seconds. dropped: the
    connection is closed before the request is looked at. answer-dropped: the request is carried out, and the connection
    closed instead of answering. token-expired: from then on, tokens given out so far are refused.
    """

    kind: Kind
    where: str = "*"
    """A pattern, as of a shell, over "METHOD host/path"."""
    times: int = 1

    @classmethod
    def parse(cls, text: str) -> Self:
        """The fault that `text` names, as `429`, `500@PUT */jobs/*`, `dropped@*blob*:3`.

        Raises:
            UsageError: it names none.
        """
        match = re.fullmatch(r"([\w-]+?)(?:@(.*?))?(?::(\d+))?", text)
        kind = next((known for known in KINDS if match and match[1] == known), None)
        if match is None or kind is None:
            raise UsageError(
                f"'{text}' is no fault", hint=f"KIND[@WHERE][:TIMES], where KIND is one of {', '.join(KINDS)}"
            )
        return cls(kind=kind, where=match[2] or "*", times=int(match[3] or 1))

    def fits(self, request: str) -> bool:
        pattern = self.where if " " in self.where or self.where.startswith("*") else f"*{self.where}*"
        return fnmatch.fnmatchcase(request, pattern)


class FaultPlan:
    """The faults that are still to come. Threads may share it."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._left: list[int] = []
        self.done: list[tuple[Kind, str]] = []
        """What was done wrong so far, and to which request."""
        for fault in faults:
            self.add(fault)

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._faults.append(fault)
            self._left.append(fault.times)

    def clear(self) -> None:
        """Nothing more goes wrong."""
        with self._lock:
            self._left = [0] * len(self._left)

    def take(self, request: str) -> Kind | None:
        """What to do wrong with `request` ("METHOD host/path"), which is counted; None: nothing."""
        with self._lock:
            for index, fault in enumerate(self._faults):
                if self._left[index] > 0 and fault.fits(request):
                    self._left[index] -= 1
                    self.done.append((fault.kind, request))
                    return fault.kind
        return None
