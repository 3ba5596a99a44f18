"""The files that other services read are valid by their published schemas, and agree with the project."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

import innereye_runtime

ROOT = Path(__file__).resolve().parents[2]
GITHUB = ROOT / ".github"
CHECKED = {
    "vendor.github-workflows": sorted((GITHUB / "workflows").glob("*.yml")),
    "vendor.github-issue-forms": [GITHUB / "ISSUE_TEMPLATE" / name for name in ("bug.yml", "feature.yml")],
    "vendor.github-issue-config": [GITHUB / "ISSUE_TEMPLATE" / "config.yml"],
    "vendor.github-actions": [GITHUB / "actions" / "check" / "action.yml"],
    "vendor.azure-pipelines": [ROOT / ".azure-pipelines" / "check.yml"],
    "vendor.dependabot": [GITHUB / "dependabot.yml"],
    "vendor.citation-file-format": [ROOT / "CITATION.cff"],
}


def check(schema: str, *files: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *map(str, files)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("schema", CHECKED)
def test_a_file_is_valid_by_its_published_schema(schema: str, tmp_path: Path) -> None:
    assert CHECKED[schema]
    done = check(schema, *CHECKED[schema])
    assert done.returncode == 0, done.stdout
    broken = tmp_path / CHECKED[schema][0].name
    broken.write_text("unheard-of: {}\n")
    assert check(schema, broken).returncode == 1


def test_workflows_run_what_the_makefile_has_on_every_supported_python() -> None:
    text = "".join(path.read_text() for path in CHECKED["vendor.github-workflows"])
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M))
    called = {word for line in re.findall(r"run: make ([\w ]+?)(?: \w+=|$)", text, re.M) for word in line.split()}
    assert called
    assert called <= targets
    supported = re.findall(r"Python :: (3\.\d+)\"", (ROOT / "pyproject.toml").read_text())
    matrix = re.search(r"matrix: \{python: \[(.*?)\]\}", text)
    assert matrix is not None
    assert re.findall(r"[\d.]+", matrix[1]) == supported


def test_hooks_before_a_commit_are_those_of_make_lint_and_make_types() -> None:
    hooks = YAML(typ="safe").load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    assert {hook["entry"].split()[0] for hook in hooks} == {".venv/bin/ruff", ".venv/bin/mypy"}
    assert {hook["language"] for hook in hooks} == {"system"}


def test_the_version_is_in_one_place_and_the_changelog_has_it() -> None:
    version = innereye_runtime.__version__
    assert f'"{version}"' not in (ROOT / "pyproject.toml").read_text()
    assert "version:" not in (ROOT / "CITATION.cff").read_text().replace("cff-version:", "")
    done = subprocess.run([sys.executable, "-m", "hatchling", "version"], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == version
    changelog = (ROOT / "CHANGELOG.md").read_text()
    headings = re.findall(r"^## \[(.+?)\]", changelog, re.M)
    assert headings[:2] == ["Unreleased", version]
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.+)$", changelog, re.M)) <= kinds
