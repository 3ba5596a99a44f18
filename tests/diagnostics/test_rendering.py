"""Formats one by one: alignment, escapes of GitHub's commands, and SARIF by the rules of its standard."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from innereye_runtime.diagnostics.codes import TITLES
from innereye_runtime.diagnostics.diagnostic import Diagnostic, Severity, Span
from innereye_runtime.diagnostics.rendering import render, width

PROBLEM = Diagnostic(
    code="E104",
    message="unknown key 'trainner'",
    span=Span(12, 3, 12, 11),
    source="manifest.yaml",
    lines=("  trainner: {num_epochs: 20}",),
    hint="did you mean 'trainer'?",
)


def test_text_is_that_of_the_contract() -> None:
    assert render([PROBLEM], "text") == (
        "manifest.yaml:12:3: error[E104]: unknown key 'trainner'\n"
        " 12 |   trainner: {num_epochs: 20}\n"
        "    |   ^^^^^^^^\n"
        "  hint: did you mean 'trainer'?\n"
    )


@pytest.mark.parametrize(
    ("line", "column", "carets"),
    [
        ("\tab", 2, "    ^"),
        ("名前: x", 5, "      ^"),
        ("e\u0301: x", 5, "   ^"),
        ("👩: x", 4, "    ^"),
    ],
    ids=["tab", "wide", "combining", "emoji"],
)
def test_the_caret_stands_below_what_is_meant(line: str, column: int, carets: str) -> None:
    shown = Diagnostic(code="E1", message="m", span=Span(1, column, 1, column + 1), source="m", lines=(line,))
    assert render([shown], "text").splitlines()[2] == f"   | {carets}"


def test_a_character_without_width_is_shown_and_one_that_acts_is_replaced() -> None:
    shown = Diagnostic(code="E1", message="m", span=Span(1, 6, 1, 7), source="m", lines=("a\u200d\u0301\x07: x",))
    assert render([shown], "text").splitlines()[1:] == [" 1 | a\u200d\u0301\ufffd: x", "   |    ^"]


def test_what_a_terminal_would_act_on_is_an_escape_in_a_message() -> None:
    shown = Diagnostic(code="E1", message="a\x1b[2Jé", span=Span(1, 1, 1, 1), source="m\n.yaml", hint="\u202e")
    assert render([shown], "text") == "m\\n.yaml:1:1: error[E1]: a\\x1b[2Jé\n  hint: \\u202e\n"


def test_github_shows_a_problem_of_the_command_line_at_no_file() -> None:
    shown = Diagnostic(code="E401", message="m", span=Span(1, 1, 1, 4), source="<command line>", lines=("--x",))
    assert render([shown], "github") == "::error title=E401::m\n"


def test_a_span_of_several_lines_shows_its_first() -> None:
    shown = Diagnostic(code="E1", message="m", span=Span(1, 3, 2, 2), source="m", lines=("a: [1,", "2]"))
    assert render([shown], "text").splitlines()[1:] == [" 1 | a: [1,", "   |   ^^^^"]


def test_an_empty_place_has_one_caret() -> None:
    shown = Diagnostic(code="E1", message="m", span=Span(1, 3, 1, 3), source="m", lines=("a:",))
    assert render([shown], "text").splitlines()[2] == "   |   ^"


def test_nothing_is_nothing() -> None:
    assert render([], "text") == ""
    assert render([], "github") == ""
    assert json.loads(render([], "json")) == {"diagnostics": []}
    assert json.loads(render([], "sarif"))["runs"][0]["results"] == []


def test_a_terminal_is_not_driven_by_a_manifest() -> None:
    shown = Diagnostic(
        code="E1", message="\x1b[2J", span=Span(1, 1, 1, 2), source="\x07", lines=("\x1b[2J",), hint="\n"
    )
    assert "\x1b" not in render([shown], "text")
    assert "\x07" not in render([shown], "text")
    assert (
        render([shown], "github")
        == "::error file=\\x07,line=1,endLine=1,col=1,endColumn=2,title=E1::\\x1b[2J%0Ahint: %0A\n"
    )


def test_a_github_command_can_not_be_broken_out_of() -> None:
    shown = Diagnostic(
        code="W001", message="50%\n::error::x", span=Span(1, 1, 2, 2), source="a,b:c.yaml", severity="warning"
    )
    assert render([shown], "github") == (
        "::warning file=a%2Cb%3Ac.yaml,line=1,endLine=2,title=W001::50%25%0A::error::x\n"
    )


@pytest.mark.parametrize(("severity", "level"), [("error", "error"), ("warning", "warning"), ("note", "note")])
def test_sarif_has_what_its_standard_requires(severity: Severity, level: str) -> None:
    shown = Diagnostic(
        code="E104", message="m", span=Span(3, 1, 3, 5), source="a b/ü.yaml", lines=("x: 1",), severity=severity
    )
    log = json.loads(render([shown, PROBLEM], "sarif"))
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert run["tool"]["driver"]["name"]
    assert run["columnKind"] == "unicodeCodePoints"
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        region = result["locations"][0]["physicalLocation"]["region"]
        assert region["startLine"] >= 1 and region["startColumn"] >= 1
    assert run["results"][0]["level"] == level
    assert run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "a%20b/%C3%BC.yaml"


def test_sarif_names_an_absolute_path_as_a_uri() -> None:
    shown = Diagnostic(code="E104", message="m", span=Span(1, 1, 1, 1), source=str(Path("/tmp/m.yaml")))
    place = json.loads(render([shown], "sarif"))["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "file:///tmp/m.yaml"


def test_width_counts_cells() -> None:
    assert [width(text) for text in ("abc", "名", "e\u0301", "\u200b")] == [3, 2, 1, 0]


ARGUMENT_CODES = [f"{letter}{number:02}" for letter in ("E3", "E4") for number in range(10)]


def test_a_sarif_log_has_what_the_standard_requires_and_titles_and_help_for_every_code() -> None:
    codes = [*TITLES, *ARGUMENT_CODES, "N300", "E311", "W311", "W301", "W401"]
    span = Span(1, 1, 1, 4)
    sources = ("m.yaml", "/project/m.yaml", "<command line>")
    severity: dict[str, Severity] = {"E": "error", "W": "warning", "N": "note"}
    found = [
        Diagnostic(code=code, message="wrong", span=span, source=source, lines=("abc",), severity=severity[code[0]])
        for code in codes
        for source in sources
    ]
    log = json.loads(render(found, "sarif"))
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert run["tool"]["driver"]["name"] == "innereye-run"
    assert [rule["id"] for rule in rules] == sorted(codes)
    assert all(rule["shortDescription"]["text"] and rule["help"]["text"] for rule in rules)
    for result in run["results"]:
        assert result["message"]["text"] == "wrong"
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] == rules[result["ruleIndex"]]["defaultConfiguration"]["level"]
        (location,) = result["locations"]
        if "physicalLocation" in location:
            assert location["physicalLocation"]["artifactLocation"]["uri"] in ("m.yaml", "file:///project/m.yaml")
            region = location["physicalLocation"]["region"]
            assert 1 <= region["startLine"] <= region["endLine"] and 1 <= region["startColumn"] <= region["endColumn"]
        else:
            assert location["logicalLocations"][0]["name"] == "<command line>"
