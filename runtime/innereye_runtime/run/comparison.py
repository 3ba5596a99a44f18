"""What differs between runs: in what they were made of (parameters, code, packages, data, machine) and in what came of
it. Paths, names and times differ between any two runs, and are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Record = Mapping[str, Any]
"""What run.json holds."""

_NOT_COMPARED = ("output_to", "local_dataset", "extra_local_dataset_paths")
"""Parameters that are folders of one machine; data is compared by its fingerprint."""
_DIFF_OF_FILE = re.compile(r"^diff --git (?:a/(.*) b/\1|\"a/(.*)\" \"b/\2\")$", re.M)
_ARGUMENT = re.compile(r"(model|data)\.args\.([^.\[]+)")
"""The key of an argument of `model` or `data`, or of a part of one: the parameter has its name without `args`."""
_LARGEST_DIFF = 1 << 20
"""Of a diff, so much is kept in run.json."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    section: str
    """parameters, manifest, code, packages, data or hardware."""
    key: str
    values: tuple[Any, ...]
    """Of each run, in their order; None where it has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    names: tuple[str, ...]
    differences: tuple[Difference, ...]
    results: Mapping[str, tuple[Any, ...]]
    """The state, the exit code and the sha256 of the weights of each run."""
    metrics: Mapping[str, tuple[float | None, ...]]
    notes: tuple[str, ...]
    """What can't be compared, and why."""

    @property
    def equal(self) -> bool:
        """Whether weights and metrics are the same, bit by bit."""
        weights = set(self.results["weights_sha256"])
        same = all(_same(values) for values in self.metrics.values())
        return same and len(weights) == 1 and None not in weights

    def to_data(self) -> dict[str, Any]:
        return {
            "runs": list(self.names),
            "equal": self.equal,
            "differences": [
                {"section": one.section, "key": one.key, "values": list(one.values)} for one in self.differences
            ],
            "results": {name: list(values) for name, values in self.results.items()},
            "metrics": {name: list(values) for name, values in self.metrics.items()},
            "notes": list(self.notes),
        }


def compare(records: Mapping[str, Record]) -> Comparison:
    """The differences between the runs, whose records are given by their names."""
    runs = list(records.values())
    parts = [dict(_ingredients(record)) for record in runs]
    sections: dict[tuple[str, str], None] = dict.fromkeys(key for part in parts for key in part)
    differences = [
        Difference(section=section, key=key, values=tuple(part.get((section, key)) for part in parts))
        for section, key in sections
        if not _same([part.get((section, key)) for part in parts])
    ]
    return Comparison(
        names=tuple(records),
        differences=tuple(_without_echoes(differences)),
        results={
            "state": tuple(record.get("state") for record in runs),
            "exit_code": tuple(record.get("exit_code") for record in runs),
            "weights_sha256": tuple(
                record.get("checkpoints", {}).get("last", {}).get("weights_sha256") for record in runs
            ),
        },
        metrics=_metrics(runs),
        notes=tuple(_notes(records)),
    )


def changed_files(diff: str) -> dict[str, str]:
    """The part of a diff that belongs to each file, by the file's name."""
    starts = list(_DIFF_OF_FILE.finditer(diff))
    ends = [*(match.start() for match in starts[1:]), len(diff)]
    return {match[1] or match[2]: diff[match.start() : end] for match, end in zip(starts, ends, strict=False)}


def _ingredients(record: Record) -> Iterator[tuple[tuple[str, str], Any]]:
    """All that a run was made of, each with its section and its key."""
    for name, argument in record.get("arguments", {}).items():
        if name not in _NOT_COMPARED:
            yield ("parameters", name), argument.get("value")
    yield ("parameters", "seed"), record.get("seed")
    yield ("parameters", "smoke"), record.get("smoke", False)
    yield from ((("manifest", key), value) for key, value in _manifest(record.get("manifest", {})))
    code = record.get("code", {})
    yield ("code", "class"), ":".join(record.get("container", {}).get(key, "") for key in ("module", "class"))
    yield ("code", "commit"), code.get("commit")
    for name, part in changed_files(code.get("diff") or "").items():
        yield ("code", name), part
    yield ("packages", "python"), record.get("python")
    yield ("packages", "innereye-runtime"), record.get("runtime_version")
    for name, version in record.get("packages", {}).items():
        yield ("packages", name), version
    image = record.get("image") or {}
    yield ("packages", "image"), image.get("digest") or image.get("reference")
    for index, dataset in enumerate(record.get("datasets", ())):
        name = dataset.get("id") or f"dataset {index + 1}"
        yield from ((("data", f"{name} {key}"), dataset.get(key)) for key in ("sha256", "files", "bytes"))
    hardware = record.get("hardware", {})
    yield from ((("hardware", key), hardware.get(key)) for key in ("cpu", "cores", "memory_bytes"))
    yield ("hardware", "gpus"), [gpu.get("name") for gpu in hardware.get("gpus", ())]


def _manifest(manifest: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The keys of a manifest that are compared by themselves: not arguments, which are parameters, and no folders."""
    for key, value in _flat(manifest):
        is_argument = key.startswith("container.args.") or key == "trainer.num_epochs"
        if not is_argument and key not in ("name", "container.class", "outputs.folder") and not key.endswith("local"):
            yield key, value


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _flat(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        for index, item in enumerate(value):
            yield from _flat(item, f"{path}[{index}]")
    else:
        yield path, value


def _without_echoes(differences: Sequence[Difference]) -> Iterator[Difference]:
    """The differences, but for those that follow from another one: each cause once."""
    there = {(one.section, one.key) for one in differences}
    seeds = {("parameters", "random_seed"), ("parameters", "cross_validation_split_index")}
    for one in differences:
        echo = one.key == "seed" and bool(seeds & there)
        if one.section == "data" and not one.key.endswith(" sha256"):
            echo = (one.section, f"{one.key.rpartition(' ')[0]} sha256") in there
        if one.section == "manifest" and (argument := _ARGUMENT.match(one.key)) is not None:
            echo = ("parameters", f"{argument[1]}.{argument[2]}") in there
        if not echo:
            yield one


def _metrics(runs: Sequence[Record]) -> dict[str, tuple[float | None, ...]]:
    by_run = [
        {name: value for split in record.get("metrics", {}).values() for name, value in split.items()}
        for record in runs
    ]
    names = dict.fromkeys(name for metrics in by_run for name in metrics)
    return {name: tuple(metrics.get(name) for metrics in by_run) for name in names}


def _notes(records: Mapping[str, Record]) -> Iterator[str]:
    commits = {
        str(record.get("code", {}).get("commit")): record.get("code", {}).get("root") for record in records.values()
    }
    if len(commits) > 1 and "None" not in commits:
        yield f"git -C {next(iter(commits.values()))} diff {' '.join(list(commits)[:2])} shows the code of the commits"
    for name, record in records.items():
        code = record.get("code", {})
        if not code.get("commit"):
            yield f"{name}: its code is not under git, so changes of code can't be compared"
        elif code.get("git_failure"):
            yield f"{name}: git could not read the changes of its code: {code['git_failure']}"
        if len(code.get("diff") or "") >= _LARGEST_DIFF:
            yield f"{name}: the diff of its code was too long to be kept whole, so its end can't be compared"
        if code.get("left_out"):
            yield f"{name}: changes of files that look like secrets were not kept: {', '.join(code['left_out'])}"
        if any(not dataset.get("sha256") for dataset in record.get("datasets", ())):
            yield f"{name}: a dataset has no fingerprint, so its content can't be compared"


def _same(values: Sequence[Any]) -> bool:
    return all(value == values[0] and type(value) is type(values[0]) for value in values[1:])
