"""Which runs are meant: `val/loss<0.3`, `state=failed`, `num_layers>=2`."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

from innereye_runtime.diagnostics.text import closest_match
from innereye_runtime.errors import UsageError
from innereye_runtime.run.summary import RunSummary

_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "!=": operator.ne,
    "==": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
    "=": operator.eq,
}
_CONDITION = re.compile(r"\s*(.+?)\s*(<=|>=|!=|==|<|>|=)\s*(.*?)\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    key: str
    sign: str
    text: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """The condition that `text` is.

        Raises:
            UsageError: it is none.
        """
        match = _CONDITION.fullmatch(text)
        if match is None:
            raise UsageError(
                f"'{text}' is not a condition", hint="write --where 'val/loss<0.3' or --where state=failed"
            )
        return cls(key=match[1], sign=match[2], text=match[3])

    def holds(self, run: RunSummary) -> bool:
        """Whether it is true of `run`; a run that has no such value does not meet it, whatever the sign."""
        value = run.value(self.key)
        if value is None:
            return False
        compare = _OPERATORS[self.sign]
        if isinstance(value, bool):
            return compare(str(value).lower(), self.text.lower())
        if isinstance(value, (int, float)):
            number = _number(self.text)
            if number is None:
                raise UsageError(f"'{self.key}' is a number, and '{self.text}' is not", hint="write a number")
            return compare(value, number)
        return compare(str(value), self.text)


def chosen(runs: Sequence[RunSummary], conditions: Sequence[str]) -> list[RunSummary]:
    """The runs that meet all of `conditions`.

    Raises:
        UsageError: one is none, or names what none of the runs has.
    """
    parsed = [Condition.parse(text) for text in conditions]
    require_keys(runs, [condition.key for condition in parsed])
    return [run for run in runs if all(condition.holds(run) for condition in parsed)]


def require_keys(runs: Sequence[RunSummary], keys: Sequence[str]) -> None:
    """Returns where each of `keys` is known to some run, or where there are no runs.

    Raises:
        UsageError: one of them is known to none.
    """
    known = set().union(*(run.keys() for run in runs))
    for key in keys:
        if runs and key not in known:
            near = closest_match(key, sorted(known))
            names = ", ".join(sorted({name for run in runs for name in run.metrics}))
            hint = f"did you mean '{near}'?" if near else f"metrics of these runs: {names or 'none'}"
            raise UsageError(f"none of these runs has '{key}'", hint=hint)


def sort_key(run: RunSummary, key: str) -> tuple[int, float, str]:
    """A key to sort runs by: numbers by size, then text; runs without a value are last."""
    value = run.value(key)
    if isinstance(value, (int, float)):
        return 0, float(value), ""
    return (2, 0.0, "") if value is None else (1, 0.0, str(value))


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
