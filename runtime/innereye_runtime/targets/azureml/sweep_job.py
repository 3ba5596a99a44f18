"""A sweep or a cross-validation as Azure's own sweep job: the manifest's words in those of the job file."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from innereye_runtime.errors import UsageError
from innereye_runtime.job.resolve import Job
from innereye_runtime.manifest.model import Manifest
from innereye_runtime.manifest.sweep import Distribution, Sweep
from innereye_runtime.parameters.annotations import is_class
from innereye_runtime.sweep.trials import Trial, folds_of, is_many, manifest_of, number_of_trials

SCHEMA = "https://azuremlschemas.azureedge.net/latest/sweepJob.schema.json"
FOLD = "cross_validation_split_index"
TRIALS = "trials"
"""The folder of the trials' run folders, in the place of the sweep's."""
MOST_TRIALS = 1000
"""Source: https://learn.microsoft.com/azure/machine-learning/reference-yaml-job-sweep"""
ANY_METRIC = "val/loss"
"""A sweep job names a primary metric, whether it searches for anything or not."""
_OF_TRIAL = ("command", "code", "environment", "environment_variables", "resources", "distribution")
_EPOCHS = ("num_epochs", "trainer.num_epochs")
_TOKEN = "innereye_runtime_value_of_"
_PLAIN = re.compile(r"[A-Za-z_][\w./-]*")
_YAML_WORDS = ("true", "false", "null", "yes", "no", "on", "off", "y", "n")


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepFields:
    """What a sweep job has beside the fields of a command job."""

    parameters: Mapping[str, str]
    """The name of each parameter in Azure, by the one in the manifest."""
    search_space: Mapping[str, Mapping[str, Any]]
    sampling_algorithm: str | Mapping[str, Any]
    objective: Mapping[str, str]
    limits: Mapping[str, int]
    early_termination: Mapping[str, Any] | None
    whole: frozenset[str]
    """The parameters, in Azure's names, that are whole numbers though Azure draws them as others."""


def sweep_fields(manifest: Manifest) -> SweepFields | None:
    """None where the manifest asks for one run.

    Raises:
        UsageError: a value can't be handed over, two parameters have one name in Azure, or there are too many trials.
    """
    if not is_many(manifest):
        return None
    sweep = manifest.sweep or Sweep()
    space = dict(sweep.search_space)
    if manifest.cross_validation is not None:
        space[FOLD] = Distribution(type="choice", values=tuple(range(manifest.cross_validation.splits)))
    names = {name: name.replace(".", "__") for name in space}
    if len(set(names.values())) < len(names):
        raise UsageError(
            "two parameters of the search space have one name in Azure, where '.' is written '__'",
            hint="vary one of them in another sweep",
        )
    total = number_of_trials(manifest) * folds_of(manifest)
    if total > MOST_TRIALS:
        raise UsageError(
            f"Azure runs at most {MOST_TRIALS} trials of a sweep, and this one has {total}",
            hint="write a smaller sweep.limits.max_total_trials, or start several sweeps",
        )
    algorithm = sweep.sampling_algorithm
    is_seeded = algorithm.type == "random"
    timeout = sweep.limits.timeout
    limits = {
        "max_total_trials": total,
        "max_concurrent_trials": sweep.limits.max_concurrent_trials,
        "timeout": timeout.seconds if timeout else None,
    }
    return SweepFields(
        parameters=names,
        search_space={names[name]: _distribution(name, one) for name, one in space.items()},
        sampling_algorithm={"type": "random", "seed": algorithm.seed} if is_seeded else algorithm.type,
        objective={"goal": sweep.objective.goal, "primary_metric": sweep.objective.primary_metric or ANY_METRIC},
        limits={name: value for name, value in limits.items() if value is not None},
        early_termination=dict(_early_termination(sweep)) or None,
        whole=frozenset(names[name] for name, one in space.items() if one.type == "quniform" and _is_whole(one)),
    )


def trial_manifest(manifest: Manifest) -> Manifest:
    """The manifest of every trial but for what differs between them."""
    fold = 0 if manifest.cross_validation is not None else None
    space = manifest.sweep.search_space if manifest.sweep else {}
    stand_ins = {name: 1 for name in space if name in _EPOCHS}
    return replace(manifest_of(manifest, Trial(number=0, group=0, parameters=stand_ins, fold=fold)), name=manifest.name)


def trial_overrides(job: Job, fields: SweepFields) -> tuple[str, ...]:
    """The overrides of a trial: the job's, and one for each parameter whose value `trial_command` puts in."""
    theirs = ["--set=sweep", "--set=cross_validation"]
    if any(name in _EPOCHS for name in fields.parameters):
        theirs += ["--num_epochs=", "--max_epochs="]
    own = [word for word in job.overrides if not word.startswith(tuple(theirs))]
    for name, key in fields.parameters.items():
        if name in _EPOCHS:
            word = "--set=trainer.num_epochs"
        elif name.startswith(("model.", "data.")):
            word = f"--{name}"
        elif "." in name:
            word = f"--set={name}"
        else:
            word = f"--{name}" if job.direct is not None else f"--set=container.args.{name}"
        own.append(f"{word}={_TOKEN}{key}")
    return tuple(own)


def trial_command(command: str, fields: SweepFields, output: str, local: Path) -> str:
    """The command of a trial, whose run folder is named by its job: below the sweep's `output`, and in place of `local`
    on the node's own disk, so that its record has the name too."""
    folder = f"${{{{outputs.{output}}}}}"
    command = command.replace(folder, f'{folder}/{TRIALS}/"$AZUREML_RUN_ID"')
    command = command.replace(f"--run-folder={local} ", '--run-folder="$AZUREML_RUN_ID" ')
    for key in sorted(fields.search_space, key=len, reverse=True):
        value = f"'${{{{search_space.{key}}}}}'"
        command = command.replace(f"{_TOKEN}{key}", f"$(printf %.0f {value})" if key in fields.whole else value)
    return command


def as_sweep_job(data: Mapping[str, Any], fields: SweepFields) -> dict[str, Any]:
    """The sweep job whose trials are the command job `data`."""
    trial = {key: data[key] for key in _OF_TRIAL if key in data}
    shared = {key: value for key, value in data.items() if key not in (*_OF_TRIAL, "limits")}
    limits = {**fields.limits, **_trial_limits(data.get("limits", {}))}
    made = {
        **shared,
        "$schema": SCHEMA,
        "type": "sweep",
        "sampling_algorithm": fields.sampling_algorithm,
        "search_space": {name: dict(one) for name, one in fields.search_space.items()},
        "objective": dict(fields.objective),
        "limits": limits,
        "trial": trial,
    }
    return made if fields.early_termination is None else {**made, "early_termination": dict(fields.early_termination)}


def decoded(value: Any) -> Any:
    """A value of the search space, which Azure has as number or text, as the manifest has it."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value


def parameters_in(manifest: Mapping[str, Any], names: Mapping[str, Any]) -> dict[str, Any]:
    """The values that the effective manifest of a trial has for the parameters of the search space."""
    container, trainer = manifest.get("container", {}), manifest.get("trainer", {})
    args = container.get("args", {})
    found = {}
    for name in names:
        if name in _EPOCHS:
            found[name] = trainer.get("num_epochs")
        elif name.startswith("trainer.arguments."):
            found[name] = trainer.get("arguments", {}).get(name.removeprefix("trainer.arguments."))
        elif name.startswith(("model.", "data.")):
            found[name] = _argument_in(manifest, name)
        else:
            found[name] = args.get(name)
    return found


def _argument_in(manifest: Mapping[str, Any], name: str) -> Any:
    top, *steps = name.split(".")
    value: Any = manifest.get(top)
    for step in steps:
        value = value.get("args") if is_class(value) else value
        if isinstance(value, list) and step.isdecimal():
            value = value[int(step)] if int(step) < len(value) else None
        else:
            value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _distribution(name: str, one: Distribution) -> dict[str, Any]:
    match one.type:
        case "choice":
            return {"type": "choice", "values": [_choice(name, value) for value in one.values]}
        case "randint":
            return {"type": "randint", "upper": one.upper}
        case "loguniform":  # whose bounds are logarithms in Azure
            low, high = (math.log(value or 1.0) for value in (one.min_value, one.max_value))
            return {"type": "loguniform", "min_value": low, "max_value": high}
        case "quniform":  # which Azure rounds to a multiple, also to one beyond a bound that is none
            q = one.q or 1.0
            low, high = math.ceil((one.min_value or 0.0) / q) * q, math.floor((one.max_value or 0.0) / q) * q
            return {"type": "quniform", "min_value": low, "max_value": high, "q": q}
        case _:
            return {"type": one.type, "min_value": one.min_value, "max_value": one.max_value}


def _choice(name: str, value: Any) -> Any:
    """A choice as Azure takes it, a number or text, and as YAML reads it where it is put into the command."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    is_plain = isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _YAML_WORDS
    text = str(value) if is_plain else json.dumps(value, ensure_ascii=False)
    if "'" in text or "${{" in text:
        raise UsageError(
            f"sweep.search_space.{name}: the value {text} can't be handed to a trial in Azure",
            hint="choose a value without quotes and '${{', or give the choices short names in your class",
        )
    return text


def _early_termination(sweep: Sweep) -> Iterator[tuple[str, Any]]:
    policy = sweep.early_termination
    if policy is None:
        return
    yield from (
        ("type", policy.type),
        ("evaluation_interval", policy.evaluation_interval),
        ("delay_evaluation", policy.delay_evaluation),
    )
    if policy.type == "truncation_selection":
        yield "truncation_percentage", policy.truncation_percentage or 20
    for name in ("slack_factor", "slack_amount"):
        if getattr(policy, name) is not None:
            yield name, getattr(policy, name)


def _trial_limits(limits: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the command job: its time is that of a trial; others are for Azure's SDK to judge."""
    return {"trial_timeout" if name == "timeout" else name: value for name, value in limits.items()}


def _is_whole(one: Distribution) -> bool:
    return float(one.q or 1.0).is_integer()
