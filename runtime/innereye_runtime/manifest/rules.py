"""What a schema can't say: keys that contradict each other, and keys that the target can't do.

Each rule sees plain data that may be wrong in other ways, and looks only at what has the type it expects: a type error
is told by the schema, and never hides a contradiction elsewhere.
"""

from __future__ import annotations

import os.path
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import PurePath, PurePosixPath, PureWindowsPath
from typing import Any

from innereye_runtime.diagnostics.diagnostic import MAX_DIAGNOSTICS, Diagnostic
from innereye_runtime.diagnostics.text import quote
from innereye_runtime.manifest.class_rules import check_classes, check_loggers
from innereye_runtime.manifest.dataset_ids import canonical, problem_of
from innereye_runtime.manifest.lookups import schema_at
from innereye_runtime.manifest.output_rules import check_outputs_folder
from innereye_runtime.manifest.secret_rules import check_literal_secrets, check_secrets
from innereye_runtime.manifest.sweep_rules import check_sweep
from innereye_runtime.manifest.units import Duration, Memory
from innereye_runtime.manifest.yaml.document import Document, Path, dotted
from innereye_runtime.manifest.yaml.scalars import like_yaml_1_1

RUNTIME_MANAGED_ARGS: Mapping[str, str] = {
    "max_epochs": "write 'num_epochs' in 'trainer'",
    "default_root_dir": "it is the run folder; write 'folder' in 'outputs' to have run folders elsewhere",
    "callbacks": "return them from the container's `get_callbacks`, or the module's `configure_callbacks`",
    "devices": "write 'gpus' in 'compute'",
    "accelerator": "write 'gpus' in 'compute': none is the CPU",
    "num_nodes": "write 'nodes' in 'compute'",
    "enable_checkpointing": "the best and the last checkpoint are always saved",
    "enable_progress_bar": "it is a bar on a terminal and plain lines in a log",
    "fast_dev_run": "use `innereye-run --smoke`",
    "barebones": "it switches off loggers and checkpoints, which every run has",
}
"""Arguments of Lightning's Trainer that a manifest can't set, and what to do instead."""

_SMALLEST_MEMORY = 64 << 20
_URL = re.compile(r"[A-Za-z][\w+.-]*://")
_VARIABLE = re.compile(r"\$\{?[A-Za-z_]\w*\}?|%[A-Za-z_]\w*%")


def check(document: Document, value: Mapping[str, Any]) -> list[Diagnostic]:
    """Every contradiction in `value`, the document's data with the target of the command line already in it."""
    target = _mapping(value, "compute").get("target", "process")
    rules = (
        check_classes(document, value),
        _datasets(document, value, target),
        _units(document, value),
        _compute(document, _mapping(value, "compute"), target),
        _environment(document, value, target),
        _epochs(document, value),
        _trainer_arguments(document, value),
        check_sweep(document, value, target),
        _outputs(document, value, target),
        check_secrets(document, value),
        check_literal_secrets(document, value, list(_each_dataset(value))),
        _variables(document, value),
    )
    return [diagnostic for rule in rules for diagnostic in islice(rule, MAX_DIAGNOSTICS + 1)]


def _datasets(document: Document, value: Mapping[str, Any], target: Any) -> Iterator[Diagnostic]:
    if "dataset" in value and "datasets" in value:
        later = max("dataset", "datasets", key=lambda name: document.span((name,), key=True))
        message = "'dataset' and 'datasets' are both there"
        yield document.diagnostic(
            "E201", document.span((later,), key=True), message, hint="keep 'dataset' for one, or 'datasets' for several"
        )
    for path, dataset in _each_dataset(value):
        local = dataset.get("local")
        if isinstance(local, str) and _URL.match(local):
            message = f"'{quote(local)}' is a URL, and 'local' is a folder of this machine"
            hint = "write it as 'id'" if local.startswith("azure://") else "write the path of the folder"
            yield document.diagnostic("E213", document.span((*path, "local")), message, hint=hint)
        if isinstance(dataset.get("id"), str) and (problem := problem_of(dataset["id"])):
            message, hint = (text if text.isprintable() else quote(text) for text in problem)
            yield document.diagnostic("E214", document.span((*path, "id")), message, hint=hint)
        if document.node(path).partial:
            continue
        span = document.span(path, key=isinstance(path[-1], str))
        if not dataset.get("id") and not dataset.get("local"):
            hint = "add 'local: FOLDER' for a folder of this machine, and 'id: NAME' for one in Azure"
            yield document.diagnostic("E202", span, "this dataset has neither 'id' nor 'local'", hint=hint)
        elif target == "azureml" and not dataset.get("id"):
            hint = "add 'id: NAME', a data asset or a folder of the datastore"
            yield document.diagnostic("E203", span, "this dataset has no 'id', which target azureml needs", hint=hint)
        elif target in ("process", "docker", "slurm") and not dataset.get("local") and not _is_read_here(dataset["id"]):
            hint = "add 'local: FOLDER', its folder on this machine, or set INNEREYE_DATASTORE to where ids are found"
            if str(dataset["id"]).startswith("azureml://"):
                hint = "add 'local: FOLDER', its folder on this machine: only Azure Machine Learning reads azureml://"
            message = f"this dataset has an id and no 'local', and target {target} may not be able to locate it"
            yield document.diagnostic("W005", span, message, hint=hint, severity="warning")
        if dataset.get("strict") is True and dataset.get("mode") in ("download", "auto"):
            message = f"'strict' has no effect with mode {dataset['mode']}"
            hint = "write 'mode: mount', or delete 'strict'"
            key = document.span((*path, "strict"), key=True)
            yield document.diagnostic("W004", key, message, hint=hint, severity="warning")


def _is_read_here(id: Any) -> bool:
    """Whether a target on this machine can open what an id names."""
    return not isinstance(id, str) or canonical(id).startswith("azure://") or problem_of(id) is not None


def _units(document: Document, value: Mapping[str, Any]) -> Iterator[Diagnostic]:
    units: tuple[tuple[Path, type[Memory] | type[Duration]], ...] = (
        (("trainer", "checkpoint_every"), Duration),
        (("compute", "shm_size"), Memory),
        (("compute", "max_duration"), Duration),
        (("compute", "docker", "memory"), Memory),
        (("compute", "slurm", "time"), Duration),
        (("compute", "slurm", "mem_per_cpu"), Memory),
        (("sweep", "limits", "timeout"), Duration),
    )
    for path, unit in units:
        text = _mapping(value, str(path[0]))
        if len(path) == 3:
            text = _mapping(text, str(path[1]))
        written = text.get(str(path[-1]))
        if not isinstance(written, str) or not written or not re.search(schema_at(path)["pattern"], written):
            continue
        try:
            unit.parse(written)
        except (ValueError, OverflowError):
            message = f"'{dotted(path)}' is {quote(written)}, which is nothing, or more than there can be"
            yield document.diagnostic("E103", document.span(path), message, hint=f"write {schema_at(path)['title']}")


def _compute(document: Document, compute: Mapping[str, Any], target: Any) -> Iterator[Diagnostic]:
    yield from _ranks(document, compute, target)
    gpus = compute.get("gpus")
    if target in ("azureml", "slurm") and isinstance(gpus, list) and gpus:
        message = f"GPU ids name the GPUs of this machine; target {target} takes a number"
        span = document.span(("compute", "gpus"))
        hint = f"write 'gpus: {len(gpus)}', or all" if target == "azureml" else f"write 'gpus: {len(gpus)}'"
        yield document.diagnostic("E206", span, message, hint=hint)
    elif target == "slurm" and gpus == "all":
        span = document.span(("compute", "gpus"))
        hint = "write the number of GPUs that each node has"
        yield document.diagnostic("E206", span, "target slurm takes a number of GPUs, not all", hint=hint)
    azureml = _mapping(compute, "azureml")
    if azureml.get("cluster") and azureml.get("job_tier"):
        message = "'job_tier' is of a serverless job, and 'cluster' names a cluster, which has a tier of its own"
        span = document.span(("compute", "azureml", "job_tier"), key=True)
        hint = "delete 'job_tier', or delete 'cluster' and name an 'instance_type'"
        yield document.diagnostic("E222", span, message, hint=hint)
    if azureml.get("client_id") and azureml.get("identity") != "managed":
        message = "'client_id' is of a managed identity, and 'identity' does not say managed"
        span = document.span(("compute", "azureml", "client_id"), key=True)
        yield document.diagnostic("E223", span, message, hint="write 'identity: managed'")
    docker = _mapping(compute, "docker")
    memory, shared = _size(docker.get("memory")), _size(compute.get("shm_size"))
    if memory is not None and memory.bytes < _SMALLEST_MEMORY:
        message = f"Python and PyTorch don't start in {memory} of memory"
        span = document.span(("compute", "docker", "memory"))
        yield document.diagnostic("E207", span, message, hint="write a size such as 8g, or delete the key")
    elif memory is not None and shared is not None and shared > memory and target == "docker":
        message = f"'shm_size' is {shared}, more than the {memory} of memory that it is a part of"
        span = document.span(("compute", "shm_size"))
        yield document.diagnostic("E207", span, message, hint="raise 'docker.memory', or lower 'shm_size'")


def _ranks(document: Document, compute: Mapping[str, Any], target: Any) -> Iterator[Diagnostic]:
    nodes, processes, gpus = compute.get("nodes"), compute.get("processes"), compute.get("gpus", "none")
    if target in ("process", "docker") and isinstance(nodes, int) and nodes > 1 and gpus != "none":
        message = f"the nodes of target {target} would share this machine's GPUs, and 'nodes' is {nodes}"
        span = document.span(("compute", "nodes"))
        yield document.diagnostic("E205", span, message, hint="write 'nodes: 1': each GPU has a process of its own")
    count = len(gpus) if isinstance(gpus, list) else gpus
    if type(processes) is int and type(count) is int and processes != count:
        message = f"'processes' is {processes}, and 'gpus' {count}: each process trains on one GPU"
        span = document.span(("compute", "processes"))
        yield document.diagnostic("E219", span, message, hint=f"write 'processes: {count}', or delete the key")


def _environment(document: Document, value: Mapping[str, Any], target: Any) -> Iterator[Diagnostic]:
    azureml = _mapping(_mapping(value, "compute"), "azureml")
    path: Path = ("compute", "azureml", "environment")
    if not azureml.get("environment"):
        return
    if azureml.get("image"):
        message = "'image' and 'environment' both name what the job runs in"
        yield document.diagnostic("E221", document.span(path, key=True), message, hint="keep one of the two")
    elif target == "azureml" and value.get("packages"):
        message = "'packages' are not installed into an environment that is named: it has to have them"
        hint = "delete 'environment' to have one built with 'packages', or delete 'packages'"
        yield document.diagnostic("W007", document.span(path), message, hint=hint, severity="warning")


def _epochs(document: Document, value: Mapping[str, Any]) -> Iterator[Diagnostic]:
    args = _mapping(_mapping(value, "container"), "args")
    places: list[Path] = [("container", "args", name) for name in ("num_epochs", "max_epochs") if name in args]
    if "num_epochs" in _mapping(value, "trainer"):
        places.append(("trainer", "num_epochs"))
    places.sort(key=lambda path: document.span(path, key=True))
    for path in places[1:]:
        first = document.span(places[0], key=True).line
        message = f"the number of epochs is set twice; the first is on line {first}"
        span = document.span(path, key=True)
        yield document.diagnostic("E209", span, message, hint="keep one: 'num_epochs' in 'trainer' is for every class")


def _trainer_arguments(document: Document, value: Mapping[str, Any]) -> Iterator[Diagnostic]:
    path: Path = ("trainer", "arguments")
    for name in _mapping(_mapping(value, "trainer"), "arguments"):
        if name in RUNTIME_MANAGED_ARGS:
            span = document.span((*path, name), key=True)
            yield document.diagnostic(
                "E210", span, f"the Trainer's '{name}' is set by the runtime", hint=RUNTIME_MANAGED_ARGS[name]
            )
            continue
        if name == "logger":
            yield from check_loggers(document, (*path, name))
        for at, node in document.walk((*path, name)):
            if node.plain and like_yaml_1_1(node.text) == "boolean":
                message = f"{node.text} is text in YAML 1.2, not a boolean"
                hint = f'write true or false, or "{node.text}" in quotes if text is meant'
                yield document.diagnostic("W002", document.span(at), message, hint=hint, severity="warning")
            elif node.plain and "_" in node.text and like_yaml_1_1(node.text) == "number":
                message = f"'{dotted(at)}' is the text {quote(node.text)}, not a number: YAML 1.2 has no '_' in numbers"
                hint = f'write {node.text.replace("_", "")}, or "{node.text}" in quotes if text is meant'
                yield document.diagnostic("E101", document.span(at), message, hint=hint)


def _outputs(document: Document, value: Mapping[str, Any], target: Any) -> Iterator[Diagnostic]:
    outputs = _mapping(value, "outputs")
    patterns = outputs.get("expect")
    for index, pattern in enumerate(patterns if isinstance(patterns, list) else ()):
        if not isinstance(pattern, str):
            continue
        span = document.span(("outputs", "expect", index))
        if PurePosixPath(pattern).is_absolute() or PureWindowsPath(pattern).drive or pattern.startswith("~"):
            message = f"'{quote(pattern)}' is an absolute path"
            yield document.diagnostic("E211", span, message, hint="write a glob relative to the run folder")
        elif ".." in PurePosixPath(pattern.replace("\\", "/")).parts:
            message = f"'{quote(pattern)}' leads out of the run folder"
            yield document.diagnostic("E211", span, message, hint="write a glob without '..'")
    yield from check_outputs_folder(document, value, target)
    folder = outputs.get("folder")
    for _, dataset in _each_dataset(value):
        local = dataset.get("local")
        if isinstance(folder, str) and isinstance(local, str) and folder and local:
            inside, data = PurePath(os.path.normpath(folder)), PurePath(os.path.normpath(local))
            if inside == data or data in inside.parents:
                message = f"run folders in '{quote(folder)}' would be part of the dataset in '{quote(local)}'"
                span = document.span(("outputs", "folder"))
                yield document.diagnostic("E212", span, message, hint="write a folder outside of the data")


def _variables(document: Document, value: Mapping[str, Any]) -> Iterator[Diagnostic]:
    places: list[Path] = [(*path, "local") for path, _ in _each_dataset(value)]
    for path in (*places, ("outputs", "folder")):
        try:
            text = document.node(path).value
        except KeyError:
            continue
        if isinstance(text, str) and (match := _VARIABLE.search(text)):
            message = f"{quote(match[0])} is not replaced: a manifest has no variables"
            hint = "write the path itself; relative paths start at the manifest"
            yield document.diagnostic("W003", document.span(path), message, hint=hint, severity="warning")


def _each_dataset(value: Mapping[str, Any]) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    if isinstance(value.get("dataset"), dict):
        yield ("dataset",), value["dataset"]
    listed = value.get("datasets")
    for index, dataset in enumerate(listed if isinstance(listed, list) else ()):
        if isinstance(dataset, dict):
            yield ("datasets", index), dataset


def _mapping(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = value.get(name)
    return part if isinstance(part, dict) else {}


def _size(text: Any) -> Memory | None:
    try:
        return Memory.parse(text) if isinstance(text, str) and text[-1:].isalpha() else None
    except (ValueError, OverflowError):
        return None
