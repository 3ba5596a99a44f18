"""What must hold between several parameters. The same rules serve the class (`validate`) and the check before a run.

A rule is a function from values by name to a sentence that says what is wrong, or to "" where all is well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from innereye_runtime.manifest.dataset_ids import problem_of


@dataclass(frozen=True, slots=True)
class Rule:
    names: tuple[str, ...]
    """The parameters it looks at; it is applied where all of them are known."""
    problem: Callable[[Mapping[str, Any]], str]
    hint: str = ""
    """What to do about it; '': change one of the parameters."""


def _check_splits(values: Mapping[str, Any]) -> str:
    count, index = values["number_of_cross_validation_splits"], values["cross_validation_split_index"]
    if count == 1:
        return "number_of_cross_validation_splits must be 0 (no cross-validation) or at least 2, not 1"
    if count == 0 and index != -1:
        index_text = f"cross_validation_split_index is {index}"
        return f"{index_text}, which needs number_of_cross_validation_splits; else it must be -1"
    if count > 1 and index >= count:
        return (
            f"cross_validation_split_index must be less than number_of_cross_validation_splits ({count}), not {index}"
        )
    return ""


def _a_split_for_each_run(values: Mapping[str, Any]) -> str:
    count, index = values["number_of_cross_validation_splits"], values["cross_validation_split_index"]
    if count > 1 and index == -1:
        chosen = "cross_validation_split_index says which split to run"
        return f"number_of_cross_validation_splits is {count}, and no {chosen}"
    return ""


def _one_seed(values: Mapping[str, Any]) -> str:
    count = values["different_seeds"]
    return f"different_seeds is {count}, and one run has one seed" if type(count) is int and count > 1 else ""


def _no_regression_metrics(values: Mapping[str, Any]) -> str:
    return "regression_metrics is an option of hi-ml alone" if values["regression_metrics"] else ""


def _one_source_of_weights(values: Mapping[str, Any]) -> str:
    given = [name for name in ("weights_url", "local_weights_path", "model_id") if values[name]]
    return (
        f"at most one of weights_url, local_weights_path and model_id may be set, not {_listed(given)}"
        if len(given) > 1
        else ""
    )


def _model_id(values: Mapping[str, Any]) -> str:
    name, _, version = values["model_id"].partition(":")
    if values["model_id"] and not (name and version.isdecimal()):
        return f"model_id must be name:version, as in Prostate:3, not '{values['model_id']}'"
    return ""


def _datasets_agree(values: Mapping[str, Any]) -> str:
    ids = _count(values["azure_dataset_id"], values["extra_azure_dataset_ids"])
    paths = _count(values["local_dataset"], values["extra_local_dataset_paths"])
    mounts = _count(values["dataset_mountpoint"], values["extra_dataset_mountpoints"])
    counts = {"azure_dataset_id": ids, "local_dataset": paths, "dataset_mountpoint": mounts}
    given = {name: count for name, count in counts.items() if count}
    if len(set(given.values())) > 1:
        counted = ", ".join(f"{count} by {name} and its extras" for name, count in given.items())
        return f"datasets differ in number: {counted}"
    return ""


def _absolute_mountpoints(values: Mapping[str, Any]) -> str:
    for path in (values["dataset_mountpoint"], *values["extra_dataset_mountpoints"]):
        if path and not str(path).startswith("/"):
            return f"a dataset's mount point must be an absolute path, not '{path}'"
    return ""


def _first_dataset_first(values: Mapping[str, Any]) -> str:
    for first, rest in (
        ("azure_dataset_id", "extra_azure_dataset_ids"),
        ("local_dataset", "extra_local_dataset_paths"),
    ):
        if values[rest] and not values[first]:
            return f"{rest} is set without {first}, which is the first dataset"
    return ""


def _ids_are_understood(values: Mapping[str, Any]) -> str:
    for id in (values["azure_dataset_id"], *values["extra_azure_dataset_ids"]):
        if isinstance(id, str) and (problem := problem_of(id)):
            return f"{problem[0]}: {problem[1]}"
    return ""


def _milestones(values: Mapping[str, Any]) -> str:
    milestones = values["l_rate_multi_step_milestones"]
    if milestones is None:
        needed = _name(values["l_rate_scheduler"]) == "MultiStep"
        return "l_rate_scheduler MultiStep needs l_rate_multi_step_milestones" if needed else ""
    if not milestones or milestones[0] <= 0 or any(b <= a for a, b in pairwise(milestones)):
        return f"l_rate_multi_step_milestones must be positive and rising, not {list(milestones)}"
    return ""


def _minimum(values: Mapping[str, Any]) -> str:
    if values["min_l_rate"] > values["l_rate"]:
        return f"min_l_rate ({values['min_l_rate']:g}) must be at most l_rate ({values['l_rate']:g})"
    return ""


WORKFLOW: Final = (
    Rule(("number_of_cross_validation_splits", "cross_validation_split_index"), _check_splits),
    Rule(("weights_url", "local_weights_path", "model_id"), _one_source_of_weights),
    Rule(("model_id",), _model_id),
)
_DATASET_NAMES = (
    "azure_dataset_id",
    "extra_azure_dataset_ids",
    "local_dataset",
    "extra_local_dataset_paths",
    "dataset_mountpoint",
    "extra_dataset_mountpoints",
)
DATASETS: Final = (
    Rule(_DATASET_NAMES, _datasets_agree),
    Rule(_DATASET_NAMES[:4], _first_dataset_first),
    Rule(_DATASET_NAMES[4:], _absolute_mountpoints),
    Rule(_DATASET_NAMES[:2], _ids_are_understood),
)
OPTIMIZER: Final = (
    Rule(("l_rate_multi_step_milestones", "l_rate_scheduler"), _milestones),
    Rule(("min_l_rate", "l_rate"), _minimum),
)
ONE_SPLIT: Final = Rule(
    ("number_of_cross_validation_splits", "cross_validation_split_index"),
    _a_split_for_each_run,
    hint="start a run for each split: add --cross_validation_split_index=0 to the first, and so on; "
    "--number_of_cross_validation_splits=0 trains without cross-validation",
)
"""What must hold where a job is one run."""
RUN: Final = (
    ONE_SPLIT,
    Rule(
        ("different_seeds",),
        _one_seed,
        hint="start a run for each seed: add --different_seeds=0 --random_seed=1 to the first, and so on",
    ),
    Rule(
        ("regression_metrics",),
        _no_regression_metrics,
        hint="put the expected metrics.json, or metrics.csv, into a folder, and name it as regression_test_folder",
    ),
)
"""What must hold for a run; an instance of the class may break these until it is run."""
ALL: Final = WORKFLOW + DATASETS + OPTIMIZER + RUN


def enforce(config: Any, rules: Sequence[Rule]) -> None:
    """Nothing, where all rules hold for the values of `config`.

    Raises:
        ValueError: with the sentence of the first one that does not.
    """
    for rule in rules:
        problem = rule.problem({name: getattr(config, name) for name in rule.names})
        if problem:
            raise ValueError(problem)


def _count(first: Any, rest: Sequence[Any]) -> int:
    return (1 if first else 0) + len([item for item in rest if item])


def _name(value: Any) -> str:
    return str(getattr(value, "value", value))


def _listed(names: Sequence[str]) -> str:
    return " and ".join(names)
