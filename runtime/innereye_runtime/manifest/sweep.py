"""`sweep` and `cross_validation` of a manifest: what varies, how it is chosen, and when to stop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from innereye_runtime.manifest.sweep_rules import NEEDED
from innereye_runtime.manifest.units import Duration

Algorithm = Literal["grid", "random", "bayesian"]
DEFAULT_SEED = 42


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """The values of one parameter, in Azure ML's words; bounds are the values themselves, of loguniform too."""

    type: str
    values: tuple[Any, ...] = ()
    min_value: float | None = None
    max_value: float | None = None
    q: float | None = None
    upper: int | None = None

    @property
    def is_whole(self) -> bool:
        """Whether it has all that its type needs."""
        return all(getattr(self, name) not in (None, ()) for name in NEEDED[self.type])


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingAlgorithm:
    type: Algorithm = "grid"
    seed: int = DEFAULT_SEED


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    goal: Literal["minimize", "maximize"] = "minimize"
    primary_metric: str = ""
    """'': none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    max_total_trials: int | None = None
    """None: the whole grid."""
    max_concurrent_trials: int | None = None
    """None: as many as this machine has room for."""
    timeout: Duration | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyTermination:
    type: Literal["median_stopping", "bandit", "truncation_selection"] = "median_stopping"
    evaluation_interval: int = 1
    delay_evaluation: int = 0
    slack_factor: float | None = None
    slack_amount: float | None = None
    truncation_percentage: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    search_space: Mapping[str, Distribution] = field(default_factory=dict)
    sampling_algorithm: SamplingAlgorithm = SamplingAlgorithm()
    objective: Objective = Objective()
    limits: Limits = Limits()
    early_termination: EarlyTermination | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossValidation:
    splits: int = 5
    ensemble: Literal["outputs", "weights"] | None = None
    """What the ensemble of the folds averages; None: there is no ensemble."""
    predictions: str = ""
    """The CSV file that each fold writes its predictions to, below its run folder; '': it may have one."""


def build_sweep(value: Mapping[str, Any]) -> Sweep:
    """The sweep that a valid `sweep` of a manifest says."""
    algorithm = value.get("sampling_algorithm", "grid")
    limits = {name: item for name, item in value.get("limits", {}).items() if item != ""}
    if "timeout" in limits:
        limits["timeout"] = Duration.parse(limits["timeout"])
    early = value.get("early_termination")
    return Sweep(
        search_space=build_space(value.get("search_space", {})),
        sampling_algorithm=SamplingAlgorithm(**({"type": algorithm} if isinstance(algorithm, str) else algorithm)),
        objective=Objective(**value.get("objective", {})),
        limits=Limits(**limits),
        early_termination=EarlyTermination(**early) if early else None,
    )


def build_folds(value: Mapping[str, Any]) -> CrossValidation:
    """The folds that a valid `cross_validation` says."""
    ensemble = value.get("ensemble")
    return CrossValidation(**{**value, "ensemble": None if ensemble == "none" else ensemble})


def build_space(value: Mapping[str, Any]) -> dict[str, Distribution]:
    """The distributions of a search space that the schema takes."""
    return {name: _distribution(item) for name, item in value.items()}


def _distribution(value: Mapping[str, Any]) -> Distribution:
    return Distribution(**{"type": "choice", **value, "values": tuple(value.get("values", ()))})
