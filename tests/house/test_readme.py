"""What README.md, CONTRIBUTING.md and the documentation name is there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

import azureml_emulator.cli
import azureml_emulator.options
from innereye_runtime.cli.main import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = ["README.md", "CONTRIBUTING.md", "docs/tutorial/first-run.md"]
TARGETS = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M))


def lines_of_code(name: str) -> list[str]:
    fences = re.findall(r"^```(\w*)\n(.*?)^```$", (ROOT / name).read_text(), re.M | re.S)
    blocks = [text for language, text in fences if language == "sh"]
    return [line.split("#")[0].strip() for block in blocks for line in block.splitlines() if line.strip()]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_make_targets_exist(name: str) -> None:
    named = {target for line in lines_of_code(name) if line.startswith("make ") for target in line.split()[1:2]}
    assert named
    assert named <= TARGETS


def test_commands_of_the_readme_exist() -> None:
    words = [line.split()[1:] for line in lines_of_code("README.md") if line.startswith("innereye-run ")]
    assert words
    for first, *_ in words:
        assert first in COMMANDS or first.startswith("--") or (ROOT / first).is_file(), first


@pytest.mark.parametrize("name", ["docs/tutorial/azure.md", "emulator/README.md"])
def test_commands_of_the_emulator_exist(name: str) -> None:
    lines = [line for line in lines_of_code(name) if re.match(r"azureml-emulator |eval \"\$\(azureml-emulator ", line)]
    assert lines
    for line in lines:
        words = shlex.split(line.removeprefix('eval "$(').removesuffix(')"'))[1:]
        command = words.pop(0) if words[0] in azureml_emulator.cli.COMMANDS else ""
        own = words[: words.index("--")] if "--" in words else words
        azureml_emulator.options.parser(command).read(own)


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "RELEASING.md"])
def test_files_that_are_linked_to_exist(name: str) -> None:
    text = (ROOT / name).read_text()
    links = [*re.findall(r"\]\((?!https?://|#)([^)#]+)", text), *re.findall(r"src=\"(?!https?://)([^\"]+)", text)]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_readme_is_one_page() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 60


def test_the_documentation_shows_every_command() -> None:
    pages = [*(ROOT / "docs" / "tutorial").glob("*.md"), *(ROOT / "docs" / "how-to").glob("*.md")]
    text = "".join(page.read_text() for page in pages)
    wanted = {command for command in COMMANDS if command != "run"}
    assert [command for command in sorted(wanted) if f"innereye-run {command}" not in text] == []
