"""Early termination: the trials of a sweep that are worse than the others at the same interval.

An interval is one value of the primary metric. Histories have more for better.

Source: https://learn.microsoft.com/azure/machine-learning/how-to-tune-hyperparameters#early-termination
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean, median
from typing import Any

Histories = Mapping[str, Sequence[float]]


class EarlyTermination:
    """Judges each trial once at each interval that is due. `policy`: as the REST API has it; without one, nobody
    loses."""

    def __init__(self, policy: Mapping[str, Any] | None) -> None:
        self._policy = policy or {}
        self._judged: dict[str, int] = {}

    def losers(self, histories: Histories) -> list[str]:
        if not self._policy:
            return []
        return [name for name, history in histories.items() if self._loses(name, len(history), histories)]

    def _loses(self, name: str, reached: int, histories: Histories) -> bool:
        every = self._policy.get("evaluationInterval") or 1
        first = max(self._policy.get("delayEvaluation") or 0, self._judged.get(name, 0) + 1)
        self._judged[name] = max(reached, self._judged.get(name, 0))
        due = [interval for interval in range(first, reached + 1) if interval % every == 0]
        return any(self._is_worse(name, interval, histories) for interval in due)

    def _is_worse(self, name: str, interval: int, histories: Histories) -> bool:
        others = [history[:interval] for history in histories.values() if len(history) >= interval]
        own = histories[name][:interval]
        if len(others) < 2:
            return False
        match self._policy["policyType"]:
            case "MedianStopping":
                return max(own) < median(fmean(history) for history in others)
            case "Bandit":
                return max(own) < self._allowed(max(max(history) for history in others))
            case "TruncationSelection":
                dropped = len(others) * int(self._policy.get("truncationPercentage") or 0) // 100
                return dropped > 0 and own[-1] <= sorted(history[-1] for history in others)[dropped - 1]
        return False

    def _allowed(self, best: float) -> float:
        if amount := self._policy.get("slackAmount"):
            return best - float(amount)
        ratio = 1 + float(self._policy.get("slackFactor") or 0)
        return best / ratio if best >= 0 else best * ratio
