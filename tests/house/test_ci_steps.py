"""The action for GitHub and the template for Azure Pipelines: their steps do on a user's manifests what they say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from ruamel.yaml import YAML
from tests.projects import tiny_project

ROOT = Path(__file__).resolve().parents[2]
WRONG = "schema: 1\ncontainer: {class: Tiny, namespaces: [tiny], args: {widht: 3}}\n"
FAILING = "schema: 1\ncontainer: {class: Tiny, namespaces: [tiny], args: {misbehaviour: raise}}\n"
_EXPRESSION = re.compile(r"\$\{\{ (?:inputs|parameters)\.([\w-]+) \}\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """How a service starts the shell of a step, and what it sets."""

    file: str
    key: str
    inputs: str
    folder: str
    environment: Mapping[str, str]

    def read(self) -> tuple[dict[str, str], list[dict[str, Any]]]:
        """The defaults of its inputs and its steps."""
        data = YAML(typ="safe").load((ROOT / self.file).read_text())
        if self.inputs == "inputs":
            return {name: each["default"] for name, each in data["inputs"].items()}, data["runs"]["steps"]
        return {each["name"]: each["default"] for each in data["parameters"]}, data["steps"]


GITHUB = Service(
    file=".github/actions/check/action.yml",
    key="run",
    inputs="inputs",
    folder="working-directory",
    environment={"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": "{root}/summary.md"},
)
AZURE = Service(
    file=".azure-pipelines/check.yml",
    key="bash",
    inputs="parameters",
    folder="workingDirectory",
    environment={"TF_BUILD": "True", "AGENT_TEMPDIRECTORY": "{root}"},
)


def run_steps(service: Service, root: Path, given: Mapping[str, str]) -> list[tuple[int, str]]:
    """The exit code and the output of each shell step that runs; the steps after one that fails do not."""
    inputs, steps = service.read()
    assert not given.keys() - inputs.keys()
    inputs = {**inputs, **given, service.folder: str(root)}
    ended: list[tuple[int, str]] = []
    for step in steps:
        condition = re.fullmatch(r"inputs\.(\w+) != ''", step.get("if", ""))
        if service.key not in step or (condition and not inputs[condition[1]]):
            continue
        assert "${{" not in step[service.key], "what a user gives is no part of the script"
        fill = {name: _EXPRESSION.sub(lambda match: inputs[match[1]], text) for name, text in step["env"].items()}
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "TF_"))}
        own = {name: value.format(root=root) for name, value in service.environment.items()}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step[service.key]],
            cwd=root,
            env={**inherited, **own, **fill, "PATH": path},
            capture_output=True,
            text=True,
            timeout=300,
        )
        ended.append((done.returncode, done.stdout + done.stderr))
        if done.returncode:
            break
    return ended


def cases_of(root: Path) -> dict[str, str | None]:
    """The name of each case of the JUnit files, and the failure that it has."""
    found: dict[str, str | None] = {}
    for file in sorted((root / "build" / "junit").glob("*.xml")):
        for case in ElementTree.parse(file).iter("testcase"):
            failure = case.find("failure")
            found[f"{file.stem} {case.get('name')}"] = None if failure is None else failure.get("message")
    return found


def summary_of(service: Service, root: Path, output: str) -> str:
    if service is GITHUB:
        return (root / "summary.md").read_text()
    files = re.findall(r"^##vso\[task\.uploadsummary\](.*)$", output, re.M)
    return "".join(Path(file).read_text() for file in files)


@pytest.mark.parametrize("service", [GITHUB, AZURE], ids=["github", "azure"])
def test_manifests_that_are_wrong_fail_with_annotations_junit_and_a_summary(service: Service, tmp_path: Path) -> None:
    project = tiny_project(tmp_path)
    project.write("manifests/good.yaml", "schema: 1\ncontainer: {class: Tiny, namespaces: [tiny]}\n")
    project.write("manifests/wrong.yaml", WRONG)
    ended = run_steps(service, tmp_path, {"package": "" if service is GITHUB else " ", "smoke": "manifests/good.yaml"})
    assert [code for code, _ in ended][-1] == 2
    output = ended[-1][1]
    if service is GITHUB:
        assert "::error file=manifests/wrong.yaml,line=2" in output
    else:
        assert "manifests/wrong.yaml:2:" in output
    cases = cases_of(tmp_path)
    assert cases["validate manifests/good.yaml"] is None
    assert "no parameter 'widht'" in str(cases["validate manifests/wrong.yaml"]) and len(cases) == 2
    summary = summary_of(service, tmp_path, output)
    assert summary.count("### innereye-run validate") == 1
    assert "| manifests/good.yaml | valid |" in summary
    assert "widht" in summary


def test_manifests_are_tried_each_one_whatever_comes_of_the_others(tmp_path: Path, needs: Callable[..., None]) -> None:
    needs("torch")
    project = tiny_project(tmp_path)
    project.write("manifests/good.yaml", "schema: 1\ncontainer: {class: Tiny, namespaces: [tiny]}\n")
    project.write("manifests/failing.yaml", FAILING)
    given = {"package": "", "smoke": "manifests/failing.yaml manifests/good.yaml"}
    ended = run_steps(GITHUB, tmp_path, given)
    assert [code for code, _ in ended] == [0, 1], ended[-1][1]
    assert "::error file=tiny.py,line=" in ended[1][1]
    cases = cases_of(tmp_path)
    assert cases["smoke-1 manifests/failing.yaml"] == "RuntimeError: the data is upside down"
    assert cases["smoke-2 manifests/good.yaml"] is None
    summary = summary_of(GITHUB, tmp_path, "")
    assert "| reason | RuntimeError: the data is upside down |" in summary
    assert "| state | completed |" in summary and "| test/loss |" in summary


def test_both_services_try_manifests_by_the_same_words() -> None:
    scripts = [[step[each.key] for step in each.read()[1] if each.key in step][-1] for each in (GITHUB, AZURE)]
    assert scripts[0] == scripts[1]
