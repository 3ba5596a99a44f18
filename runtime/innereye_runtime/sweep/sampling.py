"""Draws from a search space: independent ones, and ones that learn from results. Optuna's samplers do the work."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from innereye_runtime.errors import PreflightError
from innereye_runtime.manifest.sweep import Distribution, Sweep

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

JOURNAL = "optuna.journal"
"""In a sweep's folder: the study, for Optuna's own tools. It is written from sweep.json whenever a sweep is opened."""


def draw(sweep: Sweep, count: int) -> list[Mapping[str, Any]]:
    """The parameters of `count` trials, each drawn by itself; the same for the same seed, one after another.

    Raises:
        PreflightError: Optuna is not installed.
    """
    optuna = _optuna()
    space = {name: _encoded(one) for name, one in sweep.search_space.items()}
    with _quiet(optuna):
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=sweep.sampling_algorithm.seed))
        return [_decoded(sweep, study.ask(space).params) for _ in range(count)]


class Study:
    """A Bayesian search: what it proposes depends on the results so far. It minimizes or maximizes as `sweep` says."""

    def __init__(self, sweep: Sweep, folder: Path, *, known: int, parallel: bool) -> None:
        """`known`: the number of trials that were drawn before, in an earlier start of the same sweep."""
        self._sweep = sweep
        self._optuna = optuna = _optuna()
        self._space = {name: _encoded(one) for name, one in sweep.search_space.items()}
        self._asked: dict[int, Any] = {}
        journal = folder / JOURNAL
        journal.unlink(missing_ok=True)
        with _quiet(optuna):
            backend = optuna.storages.journal.JournalFileBackend(str(journal))
            self._study = optuna.create_study(
                storage=optuna.storages.JournalStorage(backend),
                study_name=folder.name,
                direction=sweep.objective.goal,
                # What a resumed search draws first must not be what the broken one drew first.
                sampler=optuna.samplers.TPESampler(seed=sweep.sampling_algorithm.seed + known, constant_liar=parallel),
            )

    def ask(self, group: int) -> Mapping[str, Any]:
        """The parameters of the next trial."""
        with _quiet(self._optuna):
            trial = self._study.ask(self._space)
        self._asked[group] = trial
        return _decoded(self._sweep, trial.params)

    def tell(self, group: int, parameters: Mapping[str, Any], value: float | None) -> None:
        """Takes the result of a trial, this start's or an earlier one's; None: it has none."""
        states = self._optuna.trial.TrialState
        state = states.FAIL if value is None else states.COMPLETE
        with _quiet(self._optuna):
            trial = self._asked.pop(group, None)
            if trial is not None:
                self._study.tell(trial, value, state=state)
                return
            params = {name: _code(self._sweep.search_space[name], item) for name, item in parameters.items()}
            self._study.add_trial(
                self._optuna.trial.create_trial(state=state, params=params, distributions=self._space, value=value)
            )


@contextmanager
def study_of(sweep: Sweep, valued: Sequence[tuple[Mapping[str, Any], float]]) -> Iterator[Any]:
    """An Optuna study in memory of trials by their parameters and values; Optuna's own lines are off in the block.

    Raises:
        PreflightError: Optuna is not installed.
    """
    optuna = _optuna()
    space = {name: _encoded(one) for name, one in sweep.search_space.items()}
    with _quiet(optuna):
        study = optuna.create_study(direction=sweep.objective.goal)
        for parameters, value in valued:
            params = {name: _code(sweep.search_space[name], item) for name, item in parameters.items()}
            study.add_trial(optuna.trial.create_trial(params=params, distributions=space, value=value))
        yield study


def _encoded(distribution: Distribution) -> BaseDistribution:
    """The distribution in Optuna's words. Choices are drawn by their place, since they may be of any type."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    low, high, q = distribution.min_value or 0.0, distribution.max_value or 0.0, distribution.q or 1.0
    match distribution.type:
        case "choice":
            return CategoricalDistribution(tuple(range(len(distribution.values))))
        case "randint":
            return IntDistribution(0, (distribution.upper or 1) - 1)
        case "quniform":
            return IntDistribution(math.ceil(low / q), math.floor(high / q))
        case _:
            return FloatDistribution(low, high, log=distribution.type == "loguniform")


def _decoded(sweep: Sweep, params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _value(sweep.search_space[name], params[name]) for name in sweep.search_space}


def _value(distribution: Distribution, code: Any) -> Any:
    if distribution.type == "choice":
        return distribution.values[code]
    if distribution.type == "quniform":
        q = distribution.q or 1.0
        # Not 0.30000000000000004, which 3 * 0.1 is.
        return code * int(q) if float(q).is_integer() else float(f"{code * q:.12g}")
    return code


def _code(distribution: Distribution, value: Any) -> Any:
    if distribution.type == "choice":
        return next(
            index for index, item in enumerate(distribution.values) if type(item) is type(value) and item == value
        )
    return round(value / (distribution.q or 1.0)) if distribution.type == "quniform" else value


def _optuna() -> Any:
    try:
        import optuna
        import optuna.storages.journal
    except ImportError:
        raise PreflightError(
            "sampling algorithms random and bayesian need the package optuna, which is not installed",
            hint="pip install 'innereye-runtime[sweep]', or use sampling_algorithm: grid",
        ) from None
    return optuna


@contextmanager
def _quiet(optuna: Any) -> Iterator[None]:
    """Without Optuna's own lines, and its notes on what it calls experimental."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield
