"""From a manifest and a command line to a `Job`: every problem told at once, nothing imported, nothing started."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from innereye_runtime.diagnostics.diagnostic import Diagnostic, Severity
from innereye_runtime.errors import ManifestError, UsageError
from innereye_runtime.introspection.arguments.checker import Argument, check
from innereye_runtime.introspection.arguments.option_names import OPTIONS, PREFIX
from innereye_runtime.introspection.discovery import (
    DiscoveryError,
    Location,
    code_root,
    find,
    import_folders,
    search_path,
)
from innereye_runtime.introspection.static.class_reader import ClassSource, read
from innereye_runtime.introspection.static.imports import missing_imports
from innereye_runtime.job.packages import installs, requirements_of
from innereye_runtime.manifest.builder import expanded
from innereye_runtime.manifest.loading import Loaded, deduplicate, load, parse
from innereye_runtime.manifest.model import Manifest, TargetName
from innereye_runtime.parameters.overrides import Override
from innereye_runtime.parameters.parameter import UNKNOWN, Parameter
from innereye_runtime.parameters.values import plain

if TYPE_CHECKING:
    from innereye_runtime.packages.requirement import Requirements


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A manifest whose container class was found and whose arguments were checked against it."""

    manifest: Manifest
    """With the command line's target and overrides in it: what `manifest.yaml` of the run folder says."""
    loaded: Loaded
    """The manifest's text with its places, for a second check against the imported class."""
    text: str | None
    """The manifest's text, where it is not a file (the old command line)."""
    location: Location
    arguments: Mapping[str, Argument]
    methods: frozenset[str]
    """Of the container, those that the user's own classes define."""
    overrides: tuple[str, ...]
    """As they stood on the command line: `--num_layers=7`."""
    smoke: bool
    cwd: Path
    run_folder: Path | None
    """Of the run to go on with; None: a new one."""
    code_root: Path
    search_path: tuple[Path, ...]
    warnings: tuple[Diagnostic, ...]
    """Warnings and notes, in source order."""
    requirements: Requirements | None = None
    """What the manifest's `packages` ask for; None: nothing."""

    @property
    def model_name(self) -> str:
        return self.location.class_name

    @property
    def outputs_folder(self) -> Path:
        """Where a new run folder is made: `output_to` of the command line, else outputs.folder of the manifest, else
        `output_to` of the manifest's arguments or of the class.
        """
        return self.output_to or self.manifest.outputs.folder or self.cwd / "outputs"

    @property
    def output_to(self) -> Path | None:
        """The folder that the container's `output_to` names, where the manifest's own key does not win over it."""
        given = self.arguments.get("output_to")
        if given is None or not given.value or given.value is UNKNOWN:
            return None
        if given.origin != "command line" and self.manifest.outputs.folder is not None:
            return None
        path = self.manifest.path if given.origin == "manifest" else None
        return (path.parent if path else self.cwd) / expanded(Path(given.value))


def resolve_job(
    source: Path | str,
    *,
    cwd: Path,
    overrides: Sequence[str] = (),
    target: TargetName | None = None,
    smoke: bool = False,
    root: Path | None = None,
    run_folder: Path | None = None,
    running: bool = False,
) -> Job:
    """The job that a manifest (a file, or its text) and a command line describe. `root` is the code root, where it is
    known. With `running`, it is the running side that asks: its packages are there, and their files need not be.

    Raises:
        ManifestError: with all problems of the manifest, the container's arguments and the overrides, in source order.
        UsageError: the manifest isn't there.
    """
    path = source if isinstance(source, Path) else None
    if isinstance(source, Path):
        loaded = load(source, target=target)
    else:
        loaded = parse(source.encode(), path=None, source="<manifest>", target=target)
    places = search_path(path, cwd)
    if root is not None:
        places = tuple(dict.fromkeys((*import_folders(root), *places)))
    diagnostics = list(loaded.diagnostics)
    requirements, problems = (None, []) if running else requirements_of(loaded)
    diagnostics += problems
    location, arguments = None, {}
    if loaded.container is not None:
        try:
            location = find(loaded.container.class_name, loaded.container.namespaces, places)
        except DiscoveryError as error:
            diagnostics.append(_of_class("E300", str(error), error.hint, loaded=loaded))
    if location is not None:
        found = read(location, places)
        if found.refusal is not None:
            diagnostics.append(_of_class("E309", *found.refusal, loaded=loaded))
        else:
            checked = check(
                found.parameters,
                loaded=loaded,
                overrides=parse_overrides(overrides),
                incomplete=bool(found.unresolved),
                cwd=cwd,
            )
            imports = _imports(location, places, loaded, requirements)
            unread = [] if any(each.severity == "error" for each in imports) else _unread(found, loaded)
            diagnostics += [*imports, *unread, *_hidden(found, loaded), *checked.diagnostics]
            arguments = dict(checked.arguments)
    diagnostics = deduplicate(diagnostics)
    diagnostics.sort(key=lambda diagnostic: (diagnostic.code[1:2] == "4", diagnostic.span))
    if location is None or loaded.manifest is None or any(diagnostic.severity == "error" for diagnostic in diagnostics):
        raise ManifestError(diagnostics)
    return Job(
        manifest=_with_overrides(loaded.manifest, arguments, found.parameters),
        loaded=loaded,
        text=None if path is not None else str(source),
        location=location,
        arguments=arguments,
        methods=found.methods,
        overrides=tuple(overrides),
        smoke=smoke,
        cwd=cwd,
        run_folder=run_folder,
        code_root=root or code_root(path, cwd),
        search_path=places,
        warnings=tuple(diagnostics),
        requirements=requirements,
    )


def parse_overrides(words: Sequence[str]) -> list[Override]:
    """The overrides that stand on a command line.

    Raises:
        UsageError: a word is none.
    """
    try:
        return [Override.parse(word) for word in words]
    except ValueError as error:
        raise UsageError(str(error)) from error


def _unread(found: ClassSource, loaded: Loaded) -> list[Diagnostic]:
    """What could not be checked before the class is imported: it is said, and checked then."""
    hint = "the running side imports the class, and checks its arguments before training"
    return [_of_class("N300", text, hint, loaded=loaded, severity="note") for text in found.unresolved]


def _imports(
    location: Location, places: Sequence[Path], loaded: Loaded, requirements: Requirements | None
) -> list[Diagnostic]:
    """The imports of the class's own file that will fail: of code that goes along as it is, an error; of a package that
    the job's image may have, a warning.
    """
    from innereye_runtime.compat.refused import instead_of

    found = []
    for each in missing_imports(location.module, location.file, places):
        what = f"has no {each.name}" if each.name else "is not there"
        message = f"{location.file}:{each.line}: the module {each.module} {what}, which {location.class_name} imports"
        if each.kind == "package":
            if installs(requirements, each.module):
                continue
            hint = f"add what provides it to packages.requirements of the manifest: {each.module.partition('.')[0]}"
            found.append(_of_class("W311", message, hint, loaded=loaded, severity="warning"))
        else:
            hint = instead_of(each.module) or "correct the name, or add the file to the code"
            found.append(_of_class("E311", message, hint, loaded=loaded))
    return found


def _hidden(found: ClassSource, loaded: Loaded) -> list[Diagnostic]:
    """The parameters that are called like an option, which comes first on the command line."""
    hidden = [name for name, parameter in found.parameters.items() if parameter.settable and name in OPTIONS]
    return [
        _of_class(
            "N310",
            f"the option --{name} hides the parameter '{name}' of {found.parameters[name].owner} on the command line",
            f"write {PREFIX}{name}=VALUE there; container.args needs no other name",
            loaded=loaded,
            severity="note",
        )
        for name in hidden
    ]


def _of_class(code: str, message: str, hint: str, *, loaded: Loaded, severity: Severity = "error") -> Diagnostic:
    assert loaded.document is not None  # it has a container, so its text was read
    span = loaded.document.span(("container", "class"))
    return loaded.document.diagnostic(code, span, message, hint=hint, severity=severity)


def _with_overrides(
    manifest: Manifest, arguments: Mapping[str, Argument], parameters: Mapping[str, Parameter]
) -> Manifest:
    """The manifest that says what the command line said, of parameters with two names by the one that holds the
    value.
    """
    second_names = {name for name, parameter in parameters.items() if parameter.alias_of or parameter.merges_with}
    given = {
        name: plain(each.value)
        for name, each in arguments.items()
        if each.origin == "command line" and name not in second_names
    }
    trainer = manifest.trainer
    if "num_epochs" in given and trainer.num_epochs is not None:
        trainer = replace(trainer, num_epochs=given.pop("num_epochs"))
    container = replace(manifest.container, args={**manifest.container.args, **given})
    return replace(manifest, container=container, trainer=trainer)
