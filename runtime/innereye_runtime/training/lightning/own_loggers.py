"""The loggers that a container brings: taken beside those of the run, and never the end of it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from pytorch_lightning.loggers.logger import Logger

from innereye_runtime.errors import UsageError

log = logging.getLogger("innereye_runtime")

_CALLED: Final = ("log_metrics", "log_hyperparams", "log_graph", "save", "after_save_checkpoint", "finalize")
"""What the trainer calls of a logger by itself."""
_MOST_FAILURES: Final = 5
"""After so many a tracker is left alone: each call may wait for a time-out."""


def own_loggers(given: object, where: str) -> list[Logger]:
    """The loggers that a container gives; none for True or False. What one of them raises in a call of the trainer's
    is reported once, and training goes on: metrics.csv has all that is logged.

    Raises:
        UsageError: there is something else among them; `where` names the method that gave it.
    """
    if given is None or isinstance(given, bool):
        return []
    found: list[object] = [given] if isinstance(given, Logger) or not isinstance(given, Iterable) else list(given)
    return [_guarded(_checked(each, where)) for each in found]


def _checked(given: object, where: str) -> Logger:
    if isinstance(given, Logger):
        return given
    what = f"the class {given.__name__}" if isinstance(given, type) else f"a {type(given).__name__}"
    raise UsageError(
        f"{where}: 'logger' is {what}, not a Logger of pytorch_lightning",
        hint="write a logger, or a list of them, as in {'logger': CSVLogger('own')}",
    )


def _guarded(logger: Logger) -> Logger:
    state = _State()
    for name in _CALLED:
        setattr(logger, name, partial(_call, logger, name, state))
    return logger


@dataclass(slots=True)
class _State:
    told: set[str] = field(default_factory=set)
    failures: int = 0
    """Calls of `log_metrics` of which nothing arrived, one after another."""


def _call(logger: Logger, name: str, state: _State, *arguments: Any, **named: Any) -> Any:
    method = partial(getattr(type(logger), name), logger)
    if name == "log_metrics":
        metrics, *others = [named.pop("metrics")] if "metrics" in named else arguments
        return _log_metrics(method, state, metrics, *others, **named)
    try:
        return method(*arguments, **named)
    except Exception as error:
        _report(method, state, name, error)


def _log_metrics(method: partial[Any], state: _State, metrics: Mapping[str, Any], *others: Any, **named: Any) -> None:
    if state.failures >= _MOST_FAILURES:
        return
    try:
        method(metrics, *others, **named)
        state.failures = 0
        return
    except Exception as error:
        whole = error
    refused: dict[str, Exception] = {}
    for metric in metrics if len(metrics) > 1 and not state.failures else ():
        try:  # one that it refuses took the others with it
            method({metric: metrics[metric]}, *others, **named)
        except Exception as error:
            refused[metric] = error
    if len(metrics) > 1 and not state.failures and len(refused) < len(metrics):
        for metric, reason in refused.items():
            _report(method, state, f"log_metrics of '{metric}'", reason)
        return
    state.failures += 1
    _report(method, state, "log_metrics", whole)


def _report(method: partial[Any], state: _State, what: str, error: Exception) -> None:
    if what not in state.told:
        state.told.add(what)
        reason = str(error).partition("\n")[0] or type(error).__name__
        name = type(method.args[0]).__name__
        log.warning("warning: %s.%s failed (%s); metrics.csv has all metrics", name, what, reason)
