"""`${dataset}`, `${dataset.1}` and `${run}` in the arguments of `model` and `data`, paths that only the run knows; and
`${fold}` and `${splits}` of a cross-validation, which are whole numbers where they stand alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from innereye_runtime.parameters.annotations import REFERENCE

_ENOUGH = 1 << 30
_FOLDS = ("fold", "splits")


def references(value: Any) -> Iterator[str]:
    """The names between the braces of every `${...}` in `value`, which may be a list or a mapping."""
    if isinstance(value, str):
        yield from REFERENCE.findall(value)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from references(item)


def problem_of(name: str, datasets: int, *, folds: bool) -> tuple[str, str] | None:
    """What is wrong with `${name}` in a job with so many datasets, and what to do about it; None where it is right.
    `folds`: the job is a cross-validation, or one of its folds.
    """
    if name == "run" or (name in _FOLDS and folds):
        return None
    if name in _FOLDS:
        return f"${{{name}}} needs a cross-validation", "add 'cross_validation: {splits: 5}'"
    number = _number(name)
    if number is None:
        return (
            f"${{{name}}} is not known",
            "${dataset} is the folder of the dataset, ${dataset.1} that of the second, ${run} the run folder, "
            "${fold} the number of the fold",
        )
    if number < datasets:
        return None
    if not datasets:
        return f"${{{name}}} needs a dataset, and the manifest has none", "add 'dataset: {id: NAME, local: FOLDER}'"
    counted = f"{datasets} dataset{'s' if datasets > 1 else ''}"
    last = "" if datasets == 1 else f" to ${{dataset.{datasets - 1}}}"
    return f"${{{name}}} is not there: the manifest has {counted}", f"they are counted from 0: ${{dataset.0}}{last}"


def count(datasets: int | None, given: Mapping[str, tuple[Any, Any]]) -> int:
    """How many datasets a job has: those of the manifest, or those that parameters (each `given` with its value first)
    name in their place. `datasets`: those of the manifest; None: not known, and then there are enough.
    """
    if datasets is None:
        return _ENOUGH
    named = []
    for first, rest in (
        ("local_dataset", "extra_local_dataset_paths"),
        ("azure_dataset_id", "extra_azure_dataset_ids"),
    ):
        one, more = (given[name][0] if name in given else None for name in (first, rest))
        named.append((1 if one else 0) + len(more or ()))
    return max(datasets, *named)


def replaced(value: Any, known: Mapping[str, Path | int], datasets: Sequence[Path]) -> Any:
    """`value` with what each `${...}` stands for in its place. `known`: `run`, and `fold` and `splits` of a fold."""
    if isinstance(value, str):
        alone = REFERENCE.fullmatch(value)
        if alone and alone[1] in _FOLDS:
            return known[alone[1]]
        return REFERENCE.sub(lambda match: _text(match[1], known, datasets), value)
    if isinstance(value, Mapping):
        return {key: replaced(item, known, datasets) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [replaced(item, known, datasets) for item in value]
    return value


def _text(name: str, known: Mapping[str, Path | int], datasets: Sequence[Path]) -> str:
    return str(known[name] if name in known else datasets[_number(name) or 0])


def _number(name: str) -> int | None:
    if name == "dataset":
        return 0
    head, _, number = name.partition(".")
    return int(number) if head == "dataset" and number.isdecimal() else None
