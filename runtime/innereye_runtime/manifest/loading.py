"""The way in: a file or a text -> `Loaded`, which holds the manifest or everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from innereye_runtime.diagnostics.diagnostic import MAX_DIAGNOSTICS, Diagnostic
from innereye_runtime.diagnostics.text import closest_match, has_value, quote
from innereye_runtime.errors import UsageError
from innereye_runtime.manifest import rules
from innereye_runtime.manifest.builder import build, build_class, build_container, build_packages
from innereye_runtime.manifest.lookups import schema_at
from innereye_runtime.manifest.model import ClassArgs, Container, Manifest, Packages, TargetName
from innereye_runtime.manifest.plugins import schema_with
from innereye_runtime.manifest.schema import departures, manifest_schema
from innereye_runtime.manifest.settings import placed, with_settings
from innereye_runtime.manifest.yaml import decode
from innereye_runtime.manifest.yaml.document import Document

_UNREAD = ("E017", "E018")
"""Codes of a value for which another one stands in, so that reading can go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What one manifest's text gave."""

    manifest: Manifest | None
    """None where there is an error."""
    document: Document | None
    """None where the text could not be read as YAML to its end."""
    diagnostics: tuple[Diagnostic, ...]
    """Errors and warnings, in source order."""
    container: Container | None = None
    """Also where other parts of the manifest are wrong, so that its arguments can be checked in the same pass."""
    model: ClassArgs | None = None
    """As `container`: known where this part is right."""
    data: ClassArgs | None = None
    packages: Packages | None = None
    """Likewise; None: it has none."""


def load(
    path: Path, *, source: str | None = None, target: TargetName | None = None, settings: Sequence[str] = ()
) -> Loaded:
    """The manifest in the file `path`, shown as `source` in diagnostics (default: `path` as it is given).

    With `target`, that target takes the place of the manifest's own, and the manifest is checked for it. Each of the
    `settings` (`--set=KEY=VALUE`) takes the place of a key.

    Raises:
        UsageError: a setting is not one, there is no such file, it can't be read, or it is a program's source.
    """
    if path.suffix in (".py", ".ipynb") and path.is_file():
        raise UsageError(
            f"'{quote(str(path))}' is {'a notebook' if path.suffix == '.ipynb' else 'Python'}, not a manifest",
            hint="a manifest is a YAML file that names the class in it: container: {class: package.module:ClassName}",
        )
    try:
        with path.open("rb") as file:
            data = file.read(decode.MAX_BYTES + 1)
    except FileNotFoundError:
        raise UsageError(f"there is no manifest '{quote(str(path))}'", hint=_suggest_paths(path)) from None
    except IsADirectoryError:
        raise UsageError(f"'{quote(str(path))}' is a folder, not a manifest", hint=_manifests_in(path)) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(
            f"the manifest '{quote(str(path))}' can't be read: {reason}", hint="check its permissions"
        ) from None
    return parse(data, path=path, source=str(path) if source is None else source, target=target, settings=settings)


def parse(
    text: bytes, *, path: Path | None, source: str, target: TargetName | None = None, settings: Sequence[str] = ()
) -> Loaded:
    """The manifest in `text`; its relative paths start at the folder of `path`, else at the working directory."""
    document, found = decode.read(text, source)
    if document is None:
        return Loaded(manifest=None, document=None, diagnostics=in_order(found))
    document, of_settings = with_settings(document, settings)
    found += of_settings
    secrets = document.value.get("secrets")
    if any(map(has_value, secrets if isinstance(secrets, list) else [secrets])):
        document = replace(document, private=document.span(("secrets",)))
        found = [document.redacted(diagnostic) for diagnostic in found]
    value = _for_target(document.value, target)
    compute = value.get("compute")
    schema = schema_with(manifest_schema(), compute.get("target") if isinstance(compute, dict) else None)
    if wrong := departures(value, schema):
        from innereye_runtime.manifest import messages  # needed only for a mistake

        found += messages.diagnostics(document, wrong)
    found += rules.check(document, value)
    diagnostics = tuple(placed(each, document) for each in in_order(found))
    manifest = None
    place = None if path is None else Path.cwd() / path
    folder = place.parent if place else Path.cwd()
    parts = ("container", "model", "data", "packages")
    whole = {name: value[name] for name in parts if _is_whole(value.get(name), name)}
    direct = "model" in value
    container = build_container(whole["container"]) if whole.get("container", {}).get("class") and not direct else None
    if not any(diagnostic.severity == "error" for diagnostic in diagnostics):
        manifest = build(value, path=place, folder=folder)
    return Loaded(
        manifest=manifest,
        document=document,
        diagnostics=diagnostics,
        container=build_container(whole.get("container", {})) if direct else container,
        model=build_class(whole.get("model")),
        data=build_class(whole.get("data")) if direct else None,
        packages=build_packages(whole["packages"], folder) if "packages" in whole else None,
    )


def _is_whole(value: Any, name: str) -> bool:
    """Whether one part of a manifest is right, whatever the others are."""
    return value is not None and not departures({name: value}, {"properties": {name: schema_at((name,))}})


def in_order(found: list[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Sorted by place, each problem once, no warning beside an error, and no more than a person will read."""
    found = deduplicate(found)
    wrong = {diagnostic.span for diagnostic in found if diagnostic.severity == "error"}
    unique = {(d.span, d.code, d.message): d for d in found if d.severity == "error" or d.span not in wrong}
    ordered = sorted(unique.values(), key=lambda d: (d.span, d.code))
    if len(ordered) > MAX_DIAGNOSTICS:
        last = ordered[MAX_DIAGNOSTICS]
        note = replace(
            last,
            code="N001",
            severity="note",
            message="there are more problems below this line",
            hint="repair those above first",
        )
        ordered = [*ordered[:MAX_DIAGNOSTICS], note]
    return tuple(ordered)


def deduplicate(found: list[Diagnostic]) -> list[Diagnostic]:
    """`found` without what is said of a stand-in: a number or an alias that can't be read is told once, as that."""
    unread = {(d.source, d.span) for d in found if d.code in _UNREAD}
    return [d for d in found if d.code in _UNREAD or (d.source, d.span) not in unread]


def _for_target(value: dict[str, Any], target: TargetName | None) -> dict[str, Any]:
    compute = value.get("compute", {})
    if target is None or not isinstance(compute, dict):
        return value
    return {**value, "compute": {**compute, "target": target}}


def _suggest_paths(path: Path) -> str:
    try:
        names = [entry.name for entry in path.parent.iterdir() if entry.is_file()]
    except OSError:
        return f"the folder '{quote(str(path.parent))}' is not there either; this is {quote(str(Path.cwd()))}"
    if match := closest_match(path.name, names) or closest_match(
        path.name, [n for n in names if n.endswith((".yaml", ".yml"))]
    ):
        return f"did you mean '{quote(str(path.parent / match))}'?"
    return _manifests_in(path.parent)


def _manifests_in(folder: Path) -> str:
    names = sorted(entry.name for entry in folder.iterdir() if entry.suffix in (".yaml", ".yml"))[:5]
    return (
        f"manifests there: {', '.join(map(quote, names))}"
        if names
        else f"there is no .yaml file in '{quote(str(folder))}'"
    )
