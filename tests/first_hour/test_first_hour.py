"""What a newcomer reads for each mistake of a first hour, as files in golden/; all run in forks of one process."""

from __future__ import annotations

import inspect
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import pytorch_lightning as pl

from innereye_runtime.cli.main import main
from innereye_runtime.introspection.arguments.unknown_names import TRAINER_ARGUMENTS
from innereye_runtime.manifest.rules import RUNTIME_MANAGED_ARGS
from tests.first_hour.mistakes import MISTAKES, Mistake

HERE = Path(__file__).parent
GOLDEN = HERE / "golden"


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each command prints, by the name of the mistake."""
    root = tmp_path_factory.mktemp("first_hour")
    jobs = [(str(project(root, each)), shlex.split(each.command)[1:], each.environment) for each in MISTAKES]
    (root / "jobs.json").write_text(json.dumps(jobs))
    environment = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1", "OMP_NUM_THREADS": "1"}
    subprocess.run(
        [sys.executable, str(HERE / "forked.py"), str(root / "jobs.json")], env=environment, check=True, timeout=600
    )
    return {each.name: shown(root, each) for each in MISTAKES}


def shown(root: Path, mistake: Mistake) -> str:
    text = (root / f"{mistake.name}.out").read_text()
    if mistake.shows:
        text += f"=== {mistake.shows}\n{(root / mistake.name / mistake.shows).read_text()}"
    return plain(text, root / mistake.name)


def project(root: Path, mistake: Mistake) -> Path:
    folder = root / mistake.name
    folder.mkdir()
    files = {"pyproject.toml": "", "lungs.py": mistake.source, "lungs.yaml": mistake.manifest, **mistake.files}
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def plain(text: str, folder: Path) -> str:
    """`text` without what differs from run to run and from machine to machine."""
    text = re.sub(r"/\S+/site-packages/", "SITE/", text.replace(str(folder), "PROJECT"))
    text = text.replace(sys.prefix, "PREFIX")
    text = re.sub(r"\d{4}-\d\d-\d\dT\d{6}Z_", "START_", text)
    text = re.sub(r"\d+\.\d s\b", "N s", text)
    text = re.sub(r'time="[\d.]+"', 'time="N"', text)
    return re.sub(r"(?m)[ \t]+$", "", text)


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_a_mistake_has_its_remedy_at_the_place(mistake: Mistake, outputs: dict[str, str]) -> None:
    text = f"$ {mistake.command}\n{outputs[mistake.name]}"
    file = GOLDEN / f"{mistake.name}.txt"
    if os.environ.get("GOLDEN") == "write":
        GOLDEN.mkdir(exist_ok=True)
        file.write_text(text)
    assert text == file.read_text()


WRITE = re.compile(r"write (--(?:set )?[a-z_.]+=[\w.]+)")
"""In a hint: the option to write in place of the one that was refused."""
HINTS = {
    mistake.name: (mistake, WRITE.findall((GOLDEN / f"{mistake.name}.txt").read_text()))
    for mistake in MISTAKES
    if (GOLDEN / f"{mistake.name}.txt").is_file()
}


@pytest.mark.parametrize("name", [name for name, (_, hints) in HINTS.items() if hints])
def test_the_option_that_a_hint_says_to_write_is_taken(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mistake, hints = HINTS[name]
    monkeypatch.chdir(project(tmp_path, mistake))
    assert main(["plan", "lungs.yaml", *shlex.split(hints[0])]) == 0, capsys.readouterr().err
    assert re.search(rf"\b{hints[0].rpartition('=')[2]}\b", capsys.readouterr().out)


def test_hints_with_an_option_are_among_the_mistakes() -> None:
    assert sum(bool(hints) for _, hints in HINTS.values()) >= 5


def test_no_golden_file_is_left_over() -> None:
    assert {file.stem for file in GOLDEN.glob("*.txt")} == {mistake.name for mistake in MISTAKES}


def test_trainer_arguments_that_hints_name_are_those_of_the_trainer() -> None:
    known = set(inspect.signature(pl.Trainer.__init__).parameters) - {"self"}
    assert known - set(RUNTIME_MANAGED_ARGS) == TRAINER_ARGUMENTS
