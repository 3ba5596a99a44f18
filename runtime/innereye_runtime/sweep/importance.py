"""Which parameters of a sweep its primary metric depends on: Optuna's PED-ANOVA over the trials that have a value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from innereye_runtime.errors import PreflightError
from innereye_runtime.manifest.sweep import Sweep
from innereye_runtime.sweep.record import SweepRecord
from innereye_runtime.sweep.results import value_of
from innereye_runtime.sweep.sampling import study_of

FEWEST_TRIALS: Final = 4
"""Of fewer, a share says nothing."""


def importance_of(sweep: Sweep | None, record: SweepRecord) -> dict[str, Any] | None:
    """The share of each parameter, the largest first; they add up to 1. Beside them the number of trials that they are
    from, and instead of them the `reason` for which there are none. None where nothing is searched by a metric.
    """
    if sweep is None or not record.primary_metric or len(sweep.search_space) < 2:
        return None
    valued = [(trials[0].parameters, value) for trials in record.groups() if (value := value_of(trials)) is not None]
    if len(valued) < FEWEST_TRIALS:
        return {"trials": len(valued), "reason": f"{len(valued)} trials have a value, and {FEWEST_TRIALS} are needed"}
    if len({value for _, value in valued}) == 1:
        return {"trials": len(valued), "reason": f"{record.primary_metric} is the same in all trials"}
    try:
        return {"trials": len(valued), "parameters": _shares(sweep, valued)}
    except PreflightError as error:
        return {"trials": len(valued), "reason": error.hint.partition(",")[0]}


def _shares(sweep: Sweep, valued: list[tuple[Mapping[str, Any], float]]) -> dict[str, float]:
    with study_of(sweep, valued) as study:
        from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

        found = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
    return {name: float(share) for name, share in sorted(found.items(), key=lambda one: -one[1])}
