"""What there is to say of a manifest's class that is not about one of its arguments."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from innereye_runtime.diagnostics.diagnostic import Diagnostic, Severity
from innereye_runtime.introspection.arguments.option_names import OPTIONS, PREFIX
from innereye_runtime.introspection.discovery import Location
from innereye_runtime.introspection.static.class_reader import ClassSource
from innereye_runtime.introspection.static.imports import missing_imports
from innereye_runtime.job.packages import installs
from innereye_runtime.manifest.loading import Loaded

if TYPE_CHECKING:
    from innereye_runtime.packages.requirement import Requirements


def unread_parts(found: ClassSource, loaded: Loaded) -> list[Diagnostic]:
    """What could not be checked before the class is imported: it is said, and checked then."""
    hint = "the running side imports the class, and checks its arguments before training"
    return [of_class("N300", text, hint, loaded=loaded, severity="note") for text in found.unresolved]


def imports_of(
    location: Location,
    places: Sequence[Path],
    loaded: Loaded,
    requirements: Requirements | None,
    named: str = "container",
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
            found.append(of_class("W311", message, hint, loaded=loaded, severity="warning", named=named))
        else:
            hint = instead_of(each.module) or "correct the name, or add the file to the code"
            found.append(of_class("E311", message, hint, loaded=loaded, named=named))
    return found


def hidden(found: ClassSource, loaded: Loaded) -> list[Diagnostic]:
    """The parameters that are called like an option, which comes first on the command line."""
    hidden = [name for name, parameter in found.parameters.items() if parameter.settable and name in OPTIONS]
    return [
        of_class(
            "N310",
            f"the option --{name} hides the parameter '{name}' of {found.parameters[name].owner} on the command line",
            f"write {PREFIX}{name}=VALUE there; container.args needs no other name",
            loaded=loaded,
            severity="note",
        )
        for name in hidden
    ]


def untested(found: ClassSource, loaded: Loaded) -> list[Diagnostic]:
    if not found.untested_model:
        return []
    message = f"{found.untested_model} has neither a test_step nor an inference_step: it is trained, and not evaluated"
    hint = "add a test_step, or derive it from InnerEyeInference and write inference_step"
    return [of_class("W313", message, hint, loaded=loaded, severity="warning")]


def of_class(
    code: str, message: str, hint: str, *, loaded: Loaded, severity: Severity = "error", named: str = "container"
) -> Diagnostic:
    assert loaded.document is not None  # it has a container, so its text was read
    span = loaded.document.span((named, "class"))
    return loaded.document.diagnostic(code, span, message, hint=hint, severity=severity)
