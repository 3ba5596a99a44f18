"""What `innereye-run` prints, byte by byte. A case is a file in golden/: the command, and below it what came.

A new case is a file with its first line; `GOLDEN=write` fills in, or writes again, what the commands print.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from innereye_runtime.cli.main import COMMANDS, main
from innereye_runtime.targets.azureml.settings import VARIABLES

HERE = Path(__file__).parent
CASES = sorted((HERE / "golden").glob("*.txt"))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of project/, the working directory; no colour is asked for, and of Azure one variable is set."""
    root = tmp_path / "project"
    shutil.copytree(HERE / "project", root, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.chdir(root)
    of_azure = [name for names in VARIABLES.values() for name in names]
    for name in ("FORCE_COLOR", "NO_COLOR", "INNEREYE_AZUREML_IMAGE", *of_azure):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AZURE_RESOURCE_GROUP", "imaging-rg")
    return root


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_a_command_prints_what_its_file_says(case: Path, project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    expected = case.read_text()
    command = expected.splitlines()[0]
    before = set(project.rglob("*"))

    exit_code = main(shlex.split(command)[2:])

    out, err = capfd.readouterr()
    text = f"{command}\nexit code: {exit_code}\n--- stdout\n{out}--- stderr\n{err}"
    text = text.replace(str(project), "PROJECT").replace(sys.executable, "PYTHON")
    if os.environ.get("GOLDEN") == "write":
        case.write_text(text)
        return
    assert text == expected
    assert set(project.rglob("*")) == before, "none of these commands writes a file"


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_fits_into_80_columns(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command.split(), "--help"]) == 0
    told, _, examples = capsys.readouterr().out.partition("\nExamples:\n")
    told = told if command else told + examples  # of a command, examples are to be copied and are left whole
    assert [line for line in told.splitlines() if len(line) > 80] == []


def test_a_command_that_was_replaced_names_its_replacement(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["standin"], ["standin", "--help"], ["standin", "--", "true"]):
        assert main(words) == 2
        shown = capsys.readouterr()
        assert shown.out == ""
        replaced = "error: 'innereye-run standin' was replaced by azureml-emulator, a program of its own"
        assert shown.err == f"{replaced} with the same options\n"
