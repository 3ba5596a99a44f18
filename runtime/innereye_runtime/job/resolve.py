"""From a manifest and a command line to a `Job`: every problem told at once, nothing imported, nothing started."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from innereye_runtime.diagnostics.diagnostic import Diagnostic
from innereye_runtime.errors import ManifestError, UsageError
from innereye_runtime.introspection.arguments.checker import Argument, check
from innereye_runtime.introspection.arguments.loggers import check_logger_arguments
from innereye_runtime.introspection.arguments.search_space import check_search_space
from innereye_runtime.introspection.arguments.unknown_names import near_parameters
from innereye_runtime.introspection.code_root import code_root, folders_down_to, import_folders, search_path
from innereye_runtime.introspection.discovery import DiscoveryError, Location, find
from innereye_runtime.introspection.static.class_reader import read
from innereye_runtime.job.class_arguments import with_arguments
from innereye_runtime.job.class_diagnostics import hidden, imports_of, of_class, unread_parts, untested
from innereye_runtime.job.folds import with_all_folds
from innereye_runtime.job.manifest_folder import manifest_folder, recorded_folder
from innereye_runtime.job.packages import requirements_of
from innereye_runtime.manifest.builder import expanded
from innereye_runtime.manifest.loading import Loaded, deduplicate, load, parse
from innereye_runtime.manifest.model import Manifest, TargetName
from innereye_runtime.manifest.settings import as_parameter, is_setting, placed
from innereye_runtime.parameters.overrides import Override
from innereye_runtime.parameters.parameter import UNKNOWN, Parameter
from innereye_runtime.parameters.values import plain

if TYPE_CHECKING:
    from innereye_runtime.introspection.arguments.direct import DirectClasses
    from innereye_runtime.packages.requirement import Requirements

RUNTIME_PARAMETERS: Final = "innereye_runtime.api.container:LightningContainer"
"""What has the parameters of the runtime where a manifest names a model and no container."""


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
    """Of the container, or of the model where the manifest names no container."""
    direct: DirectClasses | None
    """The classes of `model` and `data`; None where the manifest names a container."""
    arguments: Mapping[str, Argument]
    methods: frozenset[str]
    """Of the container, those that the user's own classes define."""
    overrides: tuple[str, ...]
    """As they stood on the command line: `--num_layers=7`, and `--set=KEY=VALUE` for a key of the manifest."""
    smoke: bool
    cwd: Path
    run_folder: Path | None
    """Of the run to go on with; None: a new one."""
    code_root: Path
    search_path: tuple[Path, ...]
    manifest_folder: str
    """As `innereye_runtime.job.manifest_folder` has it."""
    warnings: tuple[Diagnostic, ...]
    """Warnings and notes, in source order."""
    requirements: Requirements | None = None
    """What the manifest's `packages` ask for; None: nothing."""
    restart: bool = False
    """The checkpoints of `run_folder` are set aside there, and are to count nowhere."""
    debug: bool = False
    """A person follows it in a debugger: it has the terminal, and no time limit."""

    @property
    def model_name(self) -> str:
        return self.location.class_name

    @property
    def locations(self) -> tuple[Location, ...]:
        """Every class that the manifest names."""
        return self.direct.locations if self.direct is not None else (self.location,)

    @property
    def outputs_folder(self) -> Path:
        """Where a new run folder is made: `output_to` of the command line, else outputs.folder of the manifest, else
        `output_to` of the manifest's arguments or of the class.
        """
        return self.output_to or self.manifest.outputs.local or self.cwd / "outputs"

    @property
    def output_to(self) -> Path | None:
        """The folder that the container's `output_to` names, where the manifest's own key does not win over it."""
        given = self.arguments.get("output_to")
        if given is None or not given.value or given.value is UNKNOWN:
            return None
        if given.origin != "command line" and self.manifest.outputs.local is not None:
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
    settings = [word for word in overrides if is_setting(word)]
    if isinstance(source, Path):
        loaded = load(source, target=target, settings=settings)
    else:
        loaded = parse(source.encode(), path=None, source="<manifest>", target=target, settings=settings)
    places = search_path(path, cwd)
    if root is not None:
        places = tuple(dict.fromkeys((*import_folders(root), *places)))
    absolute = None if path is None else cwd / path
    if (started_in := recorded_folder(absolute, root or code_root(path, cwd))) is not None:
        if root is not None and not (absolute or cwd).is_relative_to(root):
            places = import_folders(root)  # it is run again from code of then: that around the run folder is another
        places = tuple(dict.fromkeys((*places, *folders_down_to(root or code_root(path, cwd), started_in))))
    diagnostics = list(loaded.diagnostics)
    requirements, problems = (None, []) if running else requirements_of(loaded)
    diagnostics += [*problems, *check_logger_arguments(loaded, places)]
    given = parse_overrides(overrides)
    location, arguments, direct = None, {}, None
    if loaded.model is not None:
        from innereye_runtime.introspection.arguments.direct import read_direct  # validate is quick

        direct = read_direct(loaded, places, given)
        location = direct.top.get("model")
        found = read(find(RUNTIME_PARAMETERS, (), places), places)
        checked = check(
            direct.with_runtime(found.parameters),
            loaded=loaded,
            overrides=[each for each in given if not direct.is_unread(each.name)],
            cwd=cwd,
            direct=direct,
            one_run=running,
        )
        imports = [
            each for name, top in direct.top.items() for each in imports_of(top, places, loaded, requirements, name)
        ]
        varied = check_search_space(direct.with_runtime(found.parameters), loaded, given, unread=direct.unread)
        diagnostics += [*imports, *direct.diagnostics, *checked.diagnostics, *varied]
        arguments = dict(checked.arguments)
    elif loaded.container is not None:
        try:
            location = find(loaded.container.class_name, loaded.container.namespaces, places)
        except DiscoveryError as error:
            diagnostics.append(of_class("E300", str(error), error.hint, loaded=loaded))
    if location is not None and direct is None:
        found = read(location, places)
        if found.refusal is not None:
            diagnostics.append(of_class("E309", *found.refusal, loaded=loaded))
        else:
            checked = check(
                found.parameters,
                loaded=loaded,
                overrides=given,
                incomplete=bool(found.unresolved),
                cwd=cwd,
                attributes=found.attributes,
                one_run=running,
            )
            imports = imports_of(location, places, loaded, requirements)
            unread = [] if any(each.severity == "error" for each in imports) else unread_parts(found, loaded)
            varied = check_search_space(found.parameters, loaded, given, incomplete=bool(found.unresolved))
            near = [of_class("W312", *each, loaded=loaded, severity="warning") for each in near_parameters(found)]
            diagnostics += [
                *imports,
                *unread,
                *near,
                *hidden(found, loaded),
                *untested(found, loaded),
                *checked.diagnostics,
                *varied,
            ]
            arguments = dict(checked.arguments)
            diagnostics = [as_parameter(each, found.parameters) for each in diagnostics]
    if loaded.document is not None:
        diagnostics = [placed(each, loaded.document) for each in diagnostics]
    diagnostics = deduplicate(diagnostics)
    diagnostics.sort(key=lambda diagnostic: (diagnostic.code[1:2] == "4", diagnostic.span))
    if location is None or loaded.manifest is None or any(diagnostic.severity == "error" for diagnostic in diagnostics):
        raise ManifestError(diagnostics)
    manifest = _with_overrides(loaded.manifest, arguments, found.parameters)
    if not running:
        manifest = with_all_folds(manifest, arguments)
    return Job(
        manifest=manifest if direct is None else with_arguments(manifest, arguments, direct),
        loaded=loaded,
        text=None if path is not None else str(source),
        location=location,
        direct=direct,
        arguments=arguments,
        methods=found.methods,
        overrides=tuple(overrides),
        smoke=smoke,
        cwd=cwd,
        run_folder=run_folder,
        code_root=root or code_root(path, cwd),
        search_path=places,
        manifest_folder=manifest_folder(absolute, root or code_root(path, cwd)),
        warnings=tuple(diagnostics),
        requirements=requirements,
    )


def parse_overrides(words: Sequence[str]) -> list[Override]:
    """The overrides of parameters that stand on a command line.

    Raises:
        UsageError: a word is none.
    """
    try:
        return [Override.parse(word) for word in words if not is_setting(word)]
    except ValueError as error:
        raise UsageError(str(error)) from error


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
        if each.origin == "command line" and name not in second_names and "." not in name
    }
    trainer = manifest.trainer
    if "num_epochs" in given and trainer.num_epochs is not None:
        trainer = replace(trainer, num_epochs=given.pop("num_epochs"))
    container = replace(manifest.container, args={**manifest.container.args, **given})
    return replace(manifest, container=container, trainer=trainer)
