"""Early termination as Azure Machine Learning defines it: which running trials are worse than the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean, median

from innereye_runtime.manifest.sweep import EarlyTermination

History = Sequence[float]
"""The primary metric of a trial after each epoch."""


class TerminationPolicy:
    """Judges each trial once at each evaluation: at the epochs that are multiples of the interval, after the delay."""

    def __init__(self, settings: EarlyTermination, *, maximize: bool) -> None:
        self._settings = settings
        self._sign = 1.0 if maximize else -1.0
        self._judged: dict[str, int] = {}
        """The last epoch at which a trial was judged."""

    def losers(self, histories: Mapping[str, History], running: Sequence[str]) -> dict[str, str]:
        """The running trials that are to be stopped, each with the reason."""
        found = {}
        for name in running:
            for epoch in self._due(name, len(histories.get(name, ()))):
                self._judged[name] = epoch
                if reason := self._verdict(name, epoch, histories):
                    found[name] = f"stopped early after {epoch} epochs: {reason}"
                    break
        return found

    def _due(self, name: str, epochs: int) -> list[int]:
        interval, first = self._settings.evaluation_interval, max(self._settings.delay_evaluation, 1)
        done = self._judged.get(name, 0)
        return [epoch for epoch in range(max(first, done + 1), epochs + 1) if epoch % interval == 0]

    def _verdict(self, name: str, epoch: int, histories: Mapping[str, History]) -> str:
        """Why the trial loses at this epoch; '' where it does not. Trials that have not come so far don't count."""
        reached = {
            other: self._signed(history[:epoch]) for other, history in histories.items() if len(history) >= epoch
        }
        own = reached.pop(name)
        if not reached:
            return ""
        match self._settings.type:
            case "median_stopping":
                middle = median([fmean(history) for history in (*reached.values(), own)])
                return "its best value is worse than the median of the averages" if max(own) < middle else ""
            case "bandit":
                best = max(max(history) for history in reached.values())
                return "it is worse than the best by more than the slack" if own[-1] < self._allowed(best) else ""
            case "truncation_selection":
                last = sorted([history[-1] for history in (*reached.values(), own)])
                dropped = len(last) * (self._settings.truncation_percentage or 20) // 100
                return "it is among the worst" if dropped and own[-1] <= last[dropped - 1] else ""

    def _allowed(self, best: float) -> float:
        """The worst value that bandit lets pass."""
        if self._settings.slack_amount is not None:
            return best - self._settings.slack_amount
        ratio = 1 + (self._settings.slack_factor or 0.0)
        return best / ratio if best >= 0 else best * ratio

    def _signed(self, history: History) -> list[float]:
        return [self._sign * value for value in history]
