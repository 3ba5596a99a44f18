"""What a command came to as JUnit's XML, which every CI shows, and as annotations on GitHub."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from innereye_runtime.diagnostics.diagnostic import Diagnostic, Span
from innereye_runtime.diagnostics.rendering import render
from innereye_runtime.errors import PreflightError

_FRAME = re.compile(r'^ *File "([^"]+)", line (\d+)', re.MULTILINE)
_NOT_XML = "[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"  # takes long to compile


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One manifest that was checked or run."""

    name: str
    suite: str
    """What was done with it."""
    seconds: float = 0.0
    failure: str = ""
    """Why it failed, in a line; empty: it did not."""
    details: str = ""


def as_junit(cases: Sequence[Case]) -> str:
    """The XML of one suite for each command."""
    from xml.etree import ElementTree

    root = ElementTree.Element("testsuites", name="innereye-run")
    for suite in dict.fromkeys(case.suite for case in cases):
        own = [case for case in cases if case.suite == suite]
        element = ElementTree.SubElement(
            root,
            "testsuite",
            name=f"innereye-run {suite}",
            tests=str(len(own)),
            failures=str(sum(bool(case.failure) for case in own)),
            errors="0",
            time=f"{sum(case.seconds for case in own):.3f}",
        )
        for case in own:
            test = ElementTree.SubElement(
                element,
                "testcase",
                classname=f"innereye-run.{suite}",
                name=_text(case.name),
                time=f"{case.seconds:.3f}",
            )
            if case.failure:
                ElementTree.SubElement(test, "failure", message=_text(case.failure)).text = _text(case.details)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def write_junit(path: Path, cases: Sequence[Case]) -> None:
    """Writes the XML to `path`, in folders that are made.

    Raises:
        PreflightError: it can't be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(as_junit(cases), encoding="utf-8")
    except OSError as error:
        raise PreflightError(
            f"{path} can't be written: {error.strerror}", hint="name another file by --junit"
        ) from error


def case_of_diagnostics(manifest: Path, diagnostics: Sequence[Diagnostic], *, suite: str) -> Case:
    """The check of a manifest: it failed where one of the diagnostics is an error."""
    errors = [each for each in diagnostics if each.severity == "error"]
    first = f"{errors[0].source}:{errors[0].span.line}: {errors[0].message}" if errors else ""
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return Case(name=str(manifest), suite=suite, failure=first + more, details=render(diagnostics, "text"))


def annotation(reason: str, traceback: str, *, cwd: Path, environment: Mapping[str, str]) -> str:
    """A failed run as GitHub shows it at the line of the user's code that raised; empty outside of its workflows."""
    if environment.get("GITHUB_ACTIONS") != "true":
        return ""
    places = [(Path(match[1]), int(match[2])) for match in _FRAME.finditer(traceback)]
    own = [(path.relative_to(cwd), line) for path, line in places if path.is_relative_to(cwd) and _is_code(path)]
    path, line = own[-1] if own else (Path("<run>"), 1)
    found = Diagnostic(code="innereye-run", message=reason, span=Span(line, 1, line, 2), source=str(path))
    return render([found], "github")


def _is_code(path: Path) -> bool:
    return not {"site-packages", ".venv", "venv"} & set(path.parts)


def _text(text: str) -> str:
    """`text` without the characters that XML has not."""
    return re.sub(_NOT_XML, "\ufffd", text)
