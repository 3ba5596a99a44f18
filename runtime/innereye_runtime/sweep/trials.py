"""The trials of a manifest as values, and the manifest of each: nothing is drawn from results, nothing is started."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import islice, product
from pathlib import Path
from typing import Any

from innereye_runtime.manifest.model import ClassArgs, Manifest
from innereye_runtime.manifest.sweep import Sweep
from innereye_runtime.parameters.annotations import is_class


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One run: the values of a trial and, with cross-validation, one of its folds."""

    number: int
    """Of the run, from 0: its folder is named so."""
    group: int
    """Of the trial whose fold it is; without cross-validation, its own number."""
    parameters: Mapping[str, Any]
    fold: int | None = None

    @property
    def name(self) -> str:
        return f"{self.number:03}"


def is_many(manifest: Manifest) -> bool:
    """Whether the manifest asks for several runs."""
    return manifest.sweep is not None or manifest.cross_validation is not None


def folds_of(manifest: Manifest) -> int:
    """The number of runs of each trial."""
    return manifest.cross_validation.splits if manifest.cross_validation else 1


def number_of_trials(manifest: Manifest) -> int:
    """The number of parameter sets, each of which has `folds_of` runs."""
    sweep = manifest.sweep
    if sweep is None:
        return 1
    limit = sweep.limits.max_total_trials
    if sweep.sampling_algorithm.type != "grid":
        return limit or 1
    size = 1
    for distribution in sweep.search_space.values():
        size *= len(distribution.values)
    return size if limit is None else min(size, limit)


def planned_ahead(manifest: Manifest) -> bool:
    """Whether the parameters of every trial are known before the first one starts."""
    return manifest.sweep is None or manifest.sweep.sampling_algorithm.type != "bayesian"


def planned(manifest: Manifest) -> list[Mapping[str, Any]] | None:
    """The parameters of every trial, where they depend on no result; None where they do."""
    sweep = manifest.sweep
    if sweep is None:
        return [{}]
    match sweep.sampling_algorithm.type:
        case "grid":
            return list(islice(_grid(sweep), number_of_trials(manifest)))
        case "random":
            from innereye_runtime.sweep.sampling import draw

            return draw(sweep, number_of_trials(manifest))
        case _:
            return None


def runs_of(manifest: Manifest, group: int, parameters: Mapping[str, Any]) -> list[Trial]:
    """The runs of one trial: itself, or its folds."""
    if manifest.cross_validation is None:
        return [Trial(number=group, group=group, parameters=parameters)]
    splits = manifest.cross_validation.splits
    return [
        Trial(number=group * splits + fold, group=group, parameters=parameters, fold=fold) for fold in range(splits)
    ]


def manifest_of(manifest: Manifest, trial: Trial) -> Manifest:
    """The manifest of one run: that of an ordinary job, with the trial's values in it."""
    args = dict(manifest.container.args)
    trainer, datasets = manifest.trainer, manifest.datasets
    classes = {"model": manifest.model, "data": manifest.data}
    for name, value in trial.parameters.items():
        part, _, key = name.rpartition(".")
        if part == "trainer.arguments":
            trainer = replace(trainer, arguments={**trainer.arguments, key: value})
        elif name in ("num_epochs", "trainer.num_epochs"):
            trainer = replace(trainer, num_epochs=value)
            args = {name: item for name, item in args.items() if name not in ("num_epochs", "max_epochs")}
        elif part == "dataset":
            local = Path(value) if key == "local" else value
            datasets = (replace(datasets[0], **{key: _anchored(local, manifest)}), *datasets[1:])
        elif (top := name.partition(".")[0]) in classes and top != name:
            classes[top] = _with_argument(classes[top], name.split(".")[1:], value)
        else:
            args[name] = value
    if manifest.cross_validation is not None and trial.fold is not None:
        args["number_of_cross_validation_splits"] = manifest.cross_validation.splits
        args["cross_validation_split_index"] = trial.fold
    args.pop("output_to", None)
    return replace(
        manifest,
        name=f"{manifest.name}-{trial.name}",
        container=replace(manifest.container, args=args),
        model=classes["model"],
        data=classes["data"],
        trainer=trainer,
        datasets=datasets,
        sweep=None,
        cross_validation=None,
    )


def _with_argument(given: ClassArgs | None, steps: Sequence[str], value: Any) -> ClassArgs | None:
    """`given` with an argument of its own, or of an object among its arguments: `encoder.depth`, `layers.0.size`."""
    if given is None:
        return None
    args = deepcopy(dict(given.args))
    holder: Any = args
    for step in steps[:-1]:
        holder = holder[int(step) if isinstance(holder, list) else step]
        holder = holder.setdefault("args", {}) if is_class(holder) else holder
    holder[int(steps[-1]) if isinstance(holder, list) else steps[-1]] = value
    return replace(given, args=args)


def _anchored(value: Any, manifest: Manifest) -> Any:
    folder = manifest.path.parent if manifest.path else Path.cwd()
    return folder / value if isinstance(value, Path) else value


def _grid(sweep: Sweep) -> Iterator[dict[str, Any]]:
    """Every combination; the last parameter varies fastest."""
    names = list(sweep.search_space)
    for values in product(*(sweep.search_space[name].values for name in names)):
        yield dict(zip(names, values, strict=True))
