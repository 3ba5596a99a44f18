"""A `Manifest` -> the text of a manifest that says everything it says: the effective manifest of a run folder."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from innereye_runtime.manifest.model import Manifest
from innereye_runtime.manifest.units import Duration, Memory
from innereye_runtime.manifest.yaml.decode import UNPRINTABLE
from innereye_runtime.manifest.yaml.scalars import like_yaml_1_1, resolve

_BARE = re.compile(r"[A-Za-z0-9_./~][A-Za-z0-9_./+@~-]*(?::[A-Za-z0-9_./+@~-]+)*")


def to_data(manifest: Manifest) -> dict[str, Any]:
    """The manifest as plain data, in the order of the format; what is not set is left out."""
    data: dict[str, Any] = {"schema": 1, "name": manifest.name}
    for name in ("container", "model", "data"):
        if part := _data(getattr(manifest, name)):
            data[name] = {"class": part.pop("class_name"), **part} if "class_name" in part else part
    datasets = [_data(dataset) for dataset in manifest.datasets]
    if len(datasets) == 1:
        data["dataset"] = datasets[0]
    elif datasets:
        data["datasets"] = datasets
    for name in ("packages", "trainer", "compute", "sweep", "cross_validation", "outputs", "environment", "secrets"):
        if part := _data(getattr(manifest, name)):
            data[name] = part
    if external := data.get("compute", {}).pop("external", None):
        data["compute"][manifest.compute.target] = external
    return data


def dump(manifest: Manifest) -> str:
    """YAML text with absolute paths, which loads back to an equal `Manifest`, its own path aside."""
    return "\n".join(_lines(to_data(manifest), "")) + "\n"


def in_a_line(value: Any) -> str:
    """Plain data as YAML text in one line."""
    return _flow(value)


def _data(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, (Memory, Duration)):
        parts = {field.name: _data(getattr(value, field.name)) for field in fields(value)}
        return {name: part for name, part in parts.items() if part not in (None, "", {}, [])}
    if isinstance(value, (Memory, Duration, Path)):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _data(item) if is_dataclass(item) else _data_in_free_part(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_data(item) for item in value]
    return value


def _data_in_free_part(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _data_in_free_part(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_data_in_free_part(item) for item in value]
    return value if isinstance(value, (str, int, float, type(None))) else str(value)


def _lines(data: Mapping[str, Any], indent: str) -> list[str]:
    lines: list[str] = []
    for key, value in data.items():
        name = f"{indent}{_text(key)}:"
        if isinstance(value, Mapping) and value:
            lines += [name, *_lines(value, indent + "  ")]
        elif isinstance(value, list) and any(isinstance(item, Mapping) and item for item in value):
            lines.append(name)
            for item in value:
                if isinstance(item, Mapping) and item:
                    first, *rest = _lines(item, indent + "    ")
                    lines += [f"{indent}  - {first.lstrip()}", *rest]
                else:
                    lines.append(f"{indent}  - {_flow(item)}")
        else:
            lines.append(f"{name} {_flow(value)}")
    return lines


def _flow(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return repr(value)
        case Mapping():
            return "{" + ", ".join(f"{_text(key)}: {_flow(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_flow, value)) + "]"
    return _text(value)


def _text(text: str) -> str:
    """Bare where every YAML reader takes it for text, else in double quotes with JSON's escapes, which YAML shares."""
    if _BARE.fullmatch(text) and len(text) < 200 and isinstance(resolve(text), str) and like_yaml_1_1(text) is None:
        return text
    return UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(text, ensure_ascii=False))
