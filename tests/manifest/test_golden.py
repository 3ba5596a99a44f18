"""Every file in golden/bad, and what a user reads about it; every file in golden/good, and what it means.

A file's first line can name a target, as the command line would. `GOLDEN=write` writes the expected texts anew: read
the difference before it is committed.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from innereye_runtime.diagnostics.codes import TITLES, help_text, title
from innereye_runtime.diagnostics.diagnostic import Diagnostic
from innereye_runtime.diagnostics.rendering import Format, render
from innereye_runtime.manifest.loading import Loaded, parse
from innereye_runtime.manifest.serializer import to_data

GOLDEN = Path(__file__).parent / "golden"
BAD = sorted((GOLDEN / "bad").glob("*.yaml"))
GOOD = sorted((GOLDEN / "good").glob("*.yaml"))
FORMATS: tuple[tuple[str, Format], ...] = (
    ("everything_at_once", "json"),
    ("everything_at_once", "github"),
    ("everything_at_once", "sarif"),
    ("wide_and_combining_characters", "github"),
    ("empty", "sarif"),
    ("alias_recursion", "json"),
    ("text_of_several_lines_for_a_name", "json"),
)


def load(path: Path) -> Loaded:
    data = path.read_bytes()
    target = re.match(rb"# --target (process|docker|slurm|azureml)\n", data)
    # a folder that is the same on every machine, since its name stands in the expected texts
    place = Path("/project/manifests") / path.name
    return parse(data, path=place, source=path.name, target=target and target[1].decode())  # type: ignore[arg-type]


def compare(text: str, path: Path, regenerate: bool) -> None:
    if regenerate:
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def name(path: Path) -> str:
    return path.stem


@pytest.mark.parametrize("path", BAD, ids=name)
def test_a_bad_manifest_is_told_as_the_golden_file_says(path: Path, regenerate: bool) -> None:
    loaded = load(path)
    assert loaded.manifest is None
    compare(render(loaded.diagnostics, "text"), path.with_suffix(".txt"), regenerate)


@pytest.mark.parametrize("path", BAD, ids=name)
def test_each_problem_points_into_the_text_and_has_a_remedy(path: Path) -> None:
    loaded = load(path)
    lines = path.read_bytes().decode("utf-8", "replace").splitlines() or [""]
    assert any(diagnostic.severity == "error" for diagnostic in loaded.diagnostics)
    for diagnostic in loaded.diagnostics:
        span = diagnostic.span
        assert diagnostic.code in TITLES
        assert diagnostic.hint
        assert 1 <= span.line <= span.end_line <= len(lines)
        assert (span.line, span.column) <= (span.end_line, span.end_column)
        assert span.end_column <= len(lines[span.end_line - 1]) + 2
        assert not re.search(
            r"ruamel|Traceback|\bNone\b|<[a-z ]+>|\{(word|open|\d)?\}", diagnostic.message + diagnostic.hint
        )
    assert list(loaded.diagnostics) == sorted(loaded.diagnostics, key=lambda d: d.span)


@pytest.mark.parametrize(("stem", "format"), FORMATS)
def test_programs_read_the_same_problems(stem: str, format: Format, regenerate: bool) -> None:
    diagnostics = load(GOLDEN / "bad" / f"{stem}.yaml").diagnostics
    compare(render(diagnostics, format), GOLDEN / "formats" / f"{stem}.{format}", regenerate)


@pytest.mark.parametrize("path", GOOD, ids=name)
def test_a_good_manifest_means_what_the_golden_file_says(path: Path, regenerate: bool) -> None:
    loaded = load(path)
    assert loaded.diagnostics == ()
    assert loaded.manifest is not None
    text = json.dumps(to_data(loaded.manifest), indent=2, ensure_ascii=False) + "\n"
    compare(text, path.with_suffix(".json"), regenerate)


def test_every_code_is_met_by_a_golden_file() -> None:
    met = {diagnostic.code for path in BAD for diagnostic in load(path).diagnostics}
    of_files = {code for code in TITLES if code.startswith("E5")}  # tests/packages has those
    assert met == set(TITLES) - of_files


def test_every_code_has_the_title_and_the_help_that_the_golden_file_says(regenerate: bool) -> None:
    codes = [*TITLES, *(f"E{floor}{number:02}" for floor in (3, 4) for number in range(10))]
    text = "".join(f"{code} {title(code)}. {help_text(code)}\n" for code in codes)
    compare(text, GOLDEN / "formats" / "codes.txt", regenerate)


def test_colour_changes_nothing_but_colour() -> None:
    diagnostics = load(GOLDEN / "bad" / "everything_at_once.yaml").diagnostics
    coloured = render(diagnostics, "text", colour=True)
    assert "\x1b[1;31m" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == render(diagnostics, "text")


def test_text_of_a_problem_without_a_file_names_its_source() -> None:
    diagnostic = load(GOLDEN / "bad" / "empty.yaml").diagnostics[0]
    shown = Diagnostic(code="E401", message="unknown", span=diagnostic.span, source="<command line>", lines=("--x=1",))
    assert render([shown], "text") == "<command line>:1:1: error[E401]: unknown\n 1 | --x=1\n   | ^\n"
    location = json.loads(render([shown], "sarif"))["runs"][0]["results"][0]["locations"][0]
    assert location == {"logicalLocations": [{"name": "<command line>", "kind": "parameter"}]}
