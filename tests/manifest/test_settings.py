"""`--set KEY=VALUE`: any key of the manifest from the command line, checked as if the manifest had it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from innereye_runtime.errors import UsageError
from innereye_runtime.manifest.loading import Loaded, parse
from innereye_runtime.manifest.serializer import to_data

TEXT = b"""\
schema: 1
container: {class: Lungs, args: {channels: 4}}
datasets: [{local: a}, {local: b}]
compute: {gpus: none}
"""


def loaded(*settings: str, text: bytes = TEXT) -> Loaded:
    return parse(text, path=Path("/project/lungs.yaml"), source="lungs.yaml", settings=[f"--set={s}" for s in settings])


def data(*settings: str) -> dict[str, Any]:
    found = loaded(*settings)
    assert found.manifest is not None, found.diagnostics
    return to_data(found.manifest)


def test_a_setting_replaces_a_value_or_adds_it() -> None:
    assert data("compute.gpus=2")["compute"]["gpus"] == 2
    assert data("compute.gpus=[0, 3]", "compute.nodes=1")["compute"]["gpus"] == [0, 3]
    assert data("trainer.arguments.gradient_clip_val=1e-1")["trainer"]["arguments"] == {"gradient_clip_val": 0.1}
    assert data("trainer={num_epochs: 3}")["trainer"]["num_epochs"] == 3
    assert data("container.args.channels=8")["container"]["args"] == {"channels": 8}
    assert data("name=a=b")["name"] == "a=b"
    assert [each["local"] for each in data("datasets[1].local=/c")["datasets"]] == ["/project/a", "/c"]


def test_the_last_of_several_counts() -> None:
    assert data("compute.nodes=3", "compute.nodes=1", "compute.target=process")["compute"]["nodes"] == 1


def test_problems_are_placed_on_the_command_line_and_those_of_the_file_stay_there() -> None:
    found = loaded("compute.gpu=all", "trainer.num_epochs=0", text=TEXT + b"nam: x\n")
    told = [(each.source, each.code, each.span.line, each.lines[0]) for each in found.diagnostics]
    assert told == [
        ("lungs.yaml", "E104", 5, "nam: x"),
        ("<command line>", "E104", 1, "--set compute.gpu=all"),
        ("<command line>", "E103", 1, "--set trainer.num_epochs=0"),
    ]
    for each in found.diagnostics[1:]:
        assert each.lines[0][each.span.column - 1 : each.span.end_column - 1] in ("gpu", "0")


@pytest.mark.parametrize("text", ["name=[", "name={a: 1", "name=&a *a", "name=!tag x", "environment={a: 1, a: 2}"])
def test_a_value_that_is_no_yaml_is_a_problem_of_the_command_line(text: str) -> None:
    found = loaded(text)
    assert {each.source for each in found.diagnostics if each.severity == "error"} == {"<command line>"}
    assert found.diagnostics[0].lines == (f"--set {text}",)


@pytest.mark.parametrize("word", ["compute.gpus", "=3", ".a=3", "a..b=3", "a[x]=3", "a b=3", "name=a\nb"])
def test_a_word_that_sets_nothing_is_refused(word: str) -> None:
    with pytest.raises(UsageError, match="does not set a key"):
        loaded(word)
