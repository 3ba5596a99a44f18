"""What the schema can't say of `sweep` and `cross_validation`: keys that belong together, and those that don't."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from innereye_runtime.diagnostics.diagnostic import Diagnostic
from innereye_runtime.diagnostics.text import quote
from innereye_runtime.manifest.yaml.document import Document, Path

MAX_TRIALS = 100_000
FOLD_PARAMETERS = (
    "number_of_cross_validation_splits",
    "cross_validation_split_index",
    "crossval_count",
    "crossval_index",
)
NEEDED: Mapping[str, tuple[str, ...]] = {
    "choice": ("values",),
    "uniform": ("min_value", "max_value"),
    "quniform": ("min_value", "max_value", "q"),
    "loguniform": ("min_value", "max_value"),
    "randint": ("upper",),
}
"""The keys that each type of distribution has beside its type."""
_MANIFEST_KEYS = ("trainer.num_epochs", "dataset.id", "dataset.local", "dataset.sha256")
_FREE_KEYS = "trainer.arguments."


def check_sweep(document: Document, value: Mapping[str, Any], target: Any) -> Iterator[Diagnostic]:
    """Every contradiction in `sweep` and `cross_validation`; parts of another type than the schema's are left to it."""
    sweep = value.get("sweep")
    if target == "azureml":
        yield from _native(document, value)
    if isinstance(sweep, dict):
        space = sweep.get("search_space", {})
        if isinstance(space, dict):
            yield from _space(document, space, value)
        yield from _choice(document, sweep)
        yield from _early_termination(document, sweep)
    yield from _folds(document, value)
    yield from _ensemble(document, value)


def _native(document: Document, value: Mapping[str, Any]) -> Iterator[Diagnostic]:
    """What Azure's own sweep jobs don't do."""
    sweep = _part(value, "sweep")
    for name in _part(sweep, "search_space"):
        if name.startswith("dataset."):
            message = f"'{quote(name)}' can't differ between trials on target azureml"
            hint = "the dataset is an input of the whole sweep: start a run for each dataset"
            span = document.span(("sweep", "search_space", name), key=True)
            yield document.diagnostic("E218", span, message, hint=hint)
    algorithm = sweep.get("sampling_algorithm", "grid")
    kind = algorithm.get("type", "grid") if isinstance(algorithm, dict) else algorithm
    if kind in ("random", "bayesian") and "cross_validation" in value:
        message = f"target azureml runs folds of a grid, and not of sampling algorithm {kind}"
        hint = "write sampling_algorithm: grid, or run the sweep first and the folds of its best trial after it"
        yield document.diagnostic("E218", document.span(("cross_validation",), key=True), message, hint=hint)


def _space(document: Document, space: Mapping[str, Any], value: Mapping[str, Any]) -> Iterator[Diagnostic]:
    if not space:
        span = document.span(("sweep",), key=True)
        hint = "write for example search_space: {l_rate: {type: choice, values: [1e-3, 1e-2]}}"
        yield document.diagnostic("E215", span, "this sweep varies nothing: 'search_space' is empty", hint=hint)
    for name, distribution in space.items():
        path: Path = ("sweep", "search_space", name)
        of_class = name.startswith(("model.", "data.")) and "model" in value
        if "." in name and name not in _MANIFEST_KEYS and not name.startswith(_FREE_KEYS) and not of_class:
            own = "model.NAME or data.NAME of an argument" if "model" in value else "a parameter of the container"
            hint = f"vary {own}, {', '.join(_MANIFEST_KEYS)} or {_FREE_KEYS}NAME"
            message = f"'{quote(name)}' can't differ between trials"
            yield document.diagnostic("E215", document.span(path, key=True), message, hint=hint)
        elif name.startswith("dataset.") and "dataset" not in value:
            message = f"'{quote(name)}' is varied, and the manifest has no 'dataset'"
            yield document.diagnostic("E215", document.span(path, key=True), message, hint="add 'dataset'")
        if isinstance(distribution, dict):
            yield from _distribution(document, path, distribution)


def _distribution(document: Document, path: Path, value: Mapping[str, Any]) -> Iterator[Diagnostic]:
    kind = value.get("type", "choice")
    needed = NEEDED.get(kind) if isinstance(kind, str) else None
    if needed is None:
        return
    if missing := [name for name in needed if name not in value]:
        message = f"a distribution of type {kind} has no '{missing[0]}'"
        hint = f"type {kind} takes {', '.join(needed)}"
        yield document.diagnostic("E215", document.span(path, key=True), message, hint=hint)
    for name in value:
        if name != "type" and name not in needed and any(name in names for names in NEEDED.values()):
            span = document.span((*path, name), key=True)
            message = f"a distribution of type {kind} takes no '{name}'"
            yield document.diagnostic("E215", span, message, hint=f"type {kind} takes {', '.join(needed)}")
    low, high, q = (_number(value.get(name)) for name in ("min_value", "max_value", "q"))
    if "min_value" not in needed or low is None or high is None:
        return
    span = document.span((*path, "min_value"))
    if low >= high:
        message = f"'min_value' is {low}, and 'max_value' {high}"
        yield document.diagnostic("E215", span, message, hint="write a larger 'max_value'")
    elif kind == "loguniform" and low <= 0:
        message = f"'min_value' is {low}, and has no logarithm"
        yield document.diagnostic("E215", span, message, hint="write a value above 0: the bounds are the values")
    elif kind == "quniform" and q is not None and (q == 0 or math.floor(high / q) < math.ceil(low / q)):
        message = f"there is no multiple of q = {q} from {low} to {high}"
        yield document.diagnostic("E215", document.span((*path, "q")), message, hint="write a smaller q, above 0")


def _choice(document: Document, sweep: Mapping[str, Any]) -> Iterator[Diagnostic]:
    algorithm = sweep.get("sampling_algorithm", "grid")
    kind = algorithm.get("type", "grid") if isinstance(algorithm, dict) else algorithm
    total = _part(sweep, "limits").get("max_total_trials")
    path: Path = ("sweep", "sampling_algorithm") if "sampling_algorithm" in sweep else ("sweep",)
    span = document.span(path, key=True)
    if kind == "grid":
        yield from _grid(document, sweep, total)
    elif kind in ("random", "bayesian") and total is None:
        message = f"sampling algorithm {kind} has no end: 'limits' has no 'max_total_trials'"
        yield document.diagnostic("E216", span, message, hint="add limits: {max_total_trials: 20}")
    if kind == "bayesian" and not _part(sweep, "objective").get("primary_metric"):
        message = "sampling algorithm bayesian needs an objective"
        hint = "add objective: {goal: minimize, primary_metric: val/loss}"
        yield document.diagnostic("E216", span, message, hint=hint)


def _grid(document: Document, sweep: Mapping[str, Any], total: Any) -> Iterator[Diagnostic]:
    space = _part(sweep, "search_space")
    combinations = 1
    for name, distribution in space.items():
        if not isinstance(distribution, dict):
            continue
        kind, values = distribution.get("type", "choice"), distribution.get("values")
        if kind in NEEDED and kind != "choice":
            span = document.span(("sweep", "search_space", name), key=True)
            message = f"a grid is of choices, and '{quote(name)}' is of type {kind}"
            hint = "write type: choice with values, or sampling_algorithm: random"
            yield document.diagnostic("E216", span, message, hint=hint)
        combinations *= len(values) if isinstance(values, list) else 1
    if combinations > MAX_TRIALS and not isinstance(total, int):
        span = document.span(("sweep", "search_space"), key=True)
        message = f"this grid has {combinations} trials, and {MAX_TRIALS} are allowed"
        yield document.diagnostic("E216", span, message, hint="write fewer values, or sampling_algorithm: random")


def _early_termination(document: Document, sweep: Mapping[str, Any]) -> Iterator[Diagnostic]:
    policy = _part(sweep, "early_termination")
    if not policy:
        return
    span = document.span(("sweep", "early_termination"), key=True)
    if not _part(sweep, "objective").get("primary_metric"):
        hint = "add objective: {goal: minimize, primary_metric: val/loss}"
        yield document.diagnostic("E216", span, "early termination needs an objective", hint=hint)
    kind = policy.get("type", "median_stopping")
    slacks = [name for name in ("slack_factor", "slack_amount") if name in policy]
    if kind == "bandit" and len(slacks) != 1:
        message = "early termination by bandit needs one of 'slack_factor' and 'slack_amount'"
        yield document.diagnostic("E216", span, message, hint="write for example slack_factor: 0.1")
    wrong = slacks if kind != "bandit" else []
    wrong += ["truncation_percentage"] if "truncation_percentage" in policy and kind != "truncation_selection" else []
    for name in wrong:
        where = document.span(("sweep", "early_termination", name), key=True)
        yield document.diagnostic("E216", where, f"early termination by {kind} takes no '{name}'", hint="delete it")


def _folds(document: Document, value: Mapping[str, Any]) -> Iterator[Diagnostic]:
    if "cross_validation" not in value:
        return
    args, space = _part(_part(value, "container"), "args"), _part(_part(value, "sweep"), "search_space")
    places: list[Path] = [("container", "args", name) for name in args]
    for path in (*places, *(("sweep", "search_space", name) for name in space)):
        if path[-1] in FOLD_PARAMETERS:
            message = f"'{path[-1]}' is set for each fold by 'cross_validation'"
            hint = "delete it, or delete 'cross_validation' and start each fold by itself"
            yield document.diagnostic("E217", document.span(path, key=True), message, hint=hint)
    if "model" in value and "${fold}" not in str((value["model"], value.get("data"))):
        message = "every fold would be the same run: no argument of 'model' or 'data' has ${fold}"
        hint = 'write for example data: {args: {fold: "${fold}", splits: "${splits}"}}, as the class names them'
        yield document.diagnostic("E217", document.span(("cross_validation",), key=True), message, hint=hint)


def _ensemble(document: Document, value: Mapping[str, Any]) -> Iterator[Diagnostic]:
    if _part(value, "cross_validation").get("ensemble", "none") in (None, "none"):
        return
    span = document.span(("cross_validation", "ensemble"), key=True)
    if "sweep" in value and not _part(_part(value, "sweep"), "objective").get("primary_metric"):
        message = "an ensemble is of the folds of the best trial, and the sweep has no objective"
        hint = "add objective: {goal: minimize, primary_metric: val/loss}"
        yield document.diagnostic("E216", span, message, hint=hint)


def _part(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = value.get(name)
    return part if isinstance(part, dict) else {}


def _number(value: Any) -> int | float | None:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None
