"""`innereye-run explain MANIFEST`: every effective value, of manifest and container, and where it came from."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any

from innereye_runtime.cli.ui.job_options import JobArguments, job_parser, resolve_job_options
from innereye_runtime.cli.ui.parser import Parser
from innereye_runtime.cli.ui.terminal import BOLD, DIM, YELLOW, eprint, paint, show_diagnostics
from innereye_runtime.errors import ExitCode
from innereye_runtime.manifest.model import CHECKPOINT_EVERY
from innereye_runtime.manifest.units import Duration, Memory

if TYPE_CHECKING:
    from innereye_runtime.job.resolve import Job
    from innereye_runtime.manifest.yaml.document import Document


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    name: str
    value: Any
    """Plain data."""
    origin: str
    """default, class (the `__init__` of one), manifest or command line."""
    line: int | None = None
    """Of the manifest."""


def parser() -> Parser:
    return job_parser(
        "explain",
        about="Shows every effective value, of the manifest and of the container, and where it came from: a default,\n"
        "the `__init__` of the class, the manifest's line, or the command line. Each overrides those before it.",
        examples=[
            "innereye-run explain manifests/hello.yaml --num_epochs=5",
            "innereye-run explain manifests/hello.yaml | grep l_rate",
        ],
        json="one JSON object: manifest and container, each a list of values",
    )


def run(argv: Sequence[str]) -> int:
    options = parser()
    arguments, overrides = options.read(argv, JobArguments())
    job = resolve_job_options(options, arguments, overrides)

    show_diagnostics(job.warnings)
    document = job.loaded.document
    assert document is not None, "a manifest that was resolved has been read"
    of_file = of_manifest(job, document, target_given=arguments.target is not None)
    manifest = [*of_file, *of_class_datasets(job), *of_target(job)]
    groups = of_classes(job, list(of_container(job, document)))
    if arguments.json:
        rows = {"manifest": [asdict(row) for row in manifest]}
        rows |= {name: [asdict(row) for row in group] for name, (_, group) in groups.items()}
        print(json.dumps(rows, indent=2, ensure_ascii=False))
        return ExitCode.DONE
    parts = [(f"manifest {arguments.manifest}", manifest), *groups.values()]
    print("\n".join(f"{paint(title, BOLD, sys.stdout)}\n{as_text(rows)}" for title, rows in parts), end="")
    return ExitCode.DONE


def of_classes(job: Job, rows: Sequence[Row]) -> dict[str, tuple[str, Sequence[Row]]]:
    """The rows by the class that they are arguments of, each with a title; those of the runtime are `container`'s."""
    found: dict[str, tuple[str, Sequence[Row]]] = {}
    for name, location in job.direct.top.items() if job.direct is not None else ():
        title = f"{name} {location.class_name}, {location.file}:{location.line}"
        found[name] = title, [row for row in rows if row.name.startswith(f"{name}.")]
    location = job.location
    title = "parameters of the runtime"
    if job.direct is None:
        title = f"container {location.class_name}, {location.file}:{location.line}"
    return {**found, "container": (title, [row for row in rows if "." not in row.name])}


def of_manifest(job: Job, document: Document, *, target_given: bool) -> Iterator[Row]:
    """The values of the manifest in the order of its types; the container's arguments are told with the container."""
    for path, value in _leaves(job.manifest, ()):
        if path[:2] == ("compute", "external"):
            path = ("compute", job.manifest.compute.target, *path[2:])
        not_asked_for = path[0] == "compute" and len(path) > 2 and value is None
        of_class = path[1:2] == ("args",) or (path[0] == "container" and job.direct is not None)
        if path[0] == "path" or path in (("model",), ("data",)) or of_class or not_asked_for:
            continue
        places = [path, ("dataset", *path[2:])] if path[:2] == ("datasets", 0) else [path]
        line = next((found for place in places if (found := _line(document, place))), None)
        origin = "manifest" if line else "default"
        if (path == ("compute", "target") and target_given) or (line and _is_set(document, line)):
            origin, line = "command line", None
        value = str(CHECKPOINT_EVERY) if path == ("trainer", "checkpoint_every") and value is None else value
        yield Row(name=_dotted(path), value=value, origin=origin, line=line)


def of_class_datasets(job: Job) -> Iterator[Row]:
    """The datasets of the job that the manifest does not name: those of the class, or of the command line."""
    from innereye_runtime.job.datasets import datasets_of

    found = datasets_of(job)
    if found == job.manifest.datasets:
        return
    for index, dataset in enumerate(found):
        for key in ("id", "local"):
            if value := getattr(dataset, key):
                yield Row(name=f"datasets[{index}].{key}", value=_plain(value), origin=_dataset_origin(job, index, key))


def _dataset_origin(job: Job, index: int, key: str) -> str:
    """Of a value that may have replaced the manifest's."""
    names = {"id": ("azure_dataset_id", "extra_azure_dataset_ids")}.get(
        key, ("local_dataset", "extra_local_dataset_paths")
    )
    argument = job.arguments.get(names[min(index, 1)])
    if job.manifest.datasets and (argument is None or argument.origin != "command line"):
        return "manifest"
    return argument.origin if argument is not None else "class"


def of_target(job: Job) -> Iterator[Row]:
    """The settings that the manifest leaves to the environment, as the target finds them."""
    from innereye_runtime.targets.registry import get_target

    for name, value, origin in get_target(job.manifest.compute.target).settings(job):
        yield Row(name=name, value=value, origin=origin)


def of_container(job: Job, document: Document) -> Iterator[Row]:
    """The container's settable parameters, those that were set first."""
    values = {name: argument.value for name, argument in job.arguments.items()}
    values.update(_computed(job))
    order = {"command line": 0, "manifest": 1, "class": 2, "default": 3}
    for argument in sorted(job.arguments.values(), key=lambda argument: order[argument.origin]):
        line = None
        if argument.origin == "manifest":
            place = job.direct.places.get(argument.name) if job.direct is not None else None
            line = _line(document, place or ("container", "args", argument.name))
            line = line or _line(document, ("trainer", "num_epochs"))
        origin = argument.origin
        if line and _is_set(document, line):
            origin, line = "command line", None
        yield Row(name=argument.name, value=_plain(values[argument.name]), origin=origin, line=line)


def _computed(job: Job) -> Mapping[str, Any]:
    """The values that the source does not tell, from the imported class; none where it can't be imported here."""
    from importlib.util import find_spec

    from innereye_runtime.parameters.parameter import UNKNOWN

    unknown = [name for name, argument in job.arguments.items() if argument.value is UNKNOWN]
    if not unknown:
        return {}
    told = f"the source of {job.location.class_name} does not show {', '.join(unknown)}"
    if find_spec("torch") is None:
        eprint(f"{paint('note:', YELLOW, sys.stderr)} {told}, and the class cannot be imported without torch")
        return {}
    from innereye_runtime.introspection.discovery import load

    eprint(f"{paint('note:', YELLOW, sys.stderr)} {told}: {job.location.module} was imported for it")
    container = load(job.location, job.search_path)()
    return {name: getattr(container, name) for name in unknown}


def as_text(rows: Sequence[Row]) -> str:
    """Three columns; the last one says where the value came from."""
    names = max(len(row.name) for row in rows)
    shown = [_shown(row.value) for row in rows]
    # A long path stands out of its column; it does not push the others' origins away.
    width = max((len(value) for value in shown if len(value) <= 24), default=0)
    lines = []
    for row, value in zip(rows, shown, strict=True):
        origin = f"line {row.line}" if row.line else row.origin
        style = DIM if row.origin == "default" else ""
        line = f"  {row.name:<{names}}  {value:<{width}}  {origin}"
        lines.append(paint(line, style, sys.stdout) if style else line)
    return "\n".join(lines) + "\n"


def _leaves(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """The plain values below `value`, each with its path as the manifest writes it."""
    if is_dataclass(value) and not isinstance(value, Memory | Duration):
        for field in fields(value):
            yield from _leaves(getattr(value, field.name), (*path, _KEYS.get(field.name, field.name)))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, (*path, key))
    elif isinstance(value, tuple) and value and is_dataclass(value[0]):
        for index, item in enumerate(value):
            yield from _leaves(item, (*path, index))
    else:
        yield path, _plain(value)


_KEYS = {"class_name": "class"}


def _line(document: Document, path: tuple[str | int, ...]) -> int | None:
    try:
        document.node(path)
    except KeyError:
        return None
    return document.span(path, key=True).line


def _is_set(document: Document, line: int) -> bool:
    """Whether a line of the document is one of `--set`."""
    return line > len(document.lines) - document.settings


def _dotted(path: tuple[str | int, ...]) -> str:
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}"
    return text[1:]


def _plain(value: Any) -> Any:
    """`value` as JSON has it: enums by value, paths and sizes as text."""
    from enum import Enum

    match value:
        case None | bool() | int() | float() | str():
            return value
        case Enum():
            return _plain(value.value)
        case list() | tuple():
            return [_plain(item) for item in value]
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case _:
            return str(value)


def _shown(value: Any) -> str:
    """`value` in one line, as the command line would take it."""
    match value:
        case None:
            return "-"
        case "":
            return "''"
        case str():
            return value
        case list() if not any(isinstance(item, list | dict) for item in value):
            return ",".join(map(_shown, value)) or "[]"
        case _:
            return json.dumps(value, ensure_ascii=False)
