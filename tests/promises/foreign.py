"""Projects of other people: a container of the toolbox's style, of hi-ml's and of today's, with two datasets. All three
fit the same line to the same rows, so that what comes out is known beforehand, to the last bit.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.projects import Project, Result

HERE = Path(__file__).resolve().parent
ROWS = {"train": [1, 2, 1, 2], "val": [1, 2, 1, 2], "test": [1, 2, 3, 4, 5]}
SLOPE = 2.0


def weight_after(epochs: int) -> float:
    """The weight after so many steps of SGD (rate 1/8) on all four rows, from 0: powers of two alone, so exact."""
    weight, squares = 0.0, sum(x * x for x in ROWS["train"]) / 4
    for _ in range(epochs):
        weight += 0.125 * 2 * squares * (SLOPE - weight)
    return weight


WEIGHT = weight_after(2)


def loss_of(x: list[float]) -> float:
    return (SLOPE - WEIGHT) ** 2 * sum(each * each for each in x) / len(x)


OUTPUTS = "\n".join(repr(WEIGHT * x) for x in ROWS["test"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    name: str
    runner: str
    """The module of its own command line."""
    model: str
    """The class, as that command line names it."""
    manifest: str
    """The class, as a manifest names it."""
    words: tuple[str, ...] = ()
    tests: bool = True
    """False: InnerEyeInference evaluates, and there are no metrics of the test."""


STYLES = {
    style.name: style
    for style in (
        Style(
            name="old",
            runner="InnerEye.ML.runner",
            model="--model=HelloContainer",  # an example that ships has that name too
            manifest="{class: HelloContainer}",
            tests=False,
        ),
        Style(
            name="successor",
            runner="health_ml.runner",
            model="--model=lungs.configs.Lungs",
            manifest="{class: Lungs, namespaces: [lungs.configs]}",
            words=("--model_variant=short",),
        ),
        Style(
            name="today",
            runner="InnerEye.ML.runner",
            model="--model=Lungs --model_configs_namespace=lungs",
            manifest="{class: Lungs, namespaces: [lungs]}",
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Foreign(Project):
    style: Style

    def through(self, door: str, *words: str, environment: dict[str, str] | None = None) -> Result:
        """What comes of a run through the old door, which is the style's own command line, or the new one."""
        given = [*self.style.words, *words]
        if door == "new":
            return self.run("lungs.yaml", *given, environment=environment)
        done = subprocess.run(
            [sys.executable, "-m", self.style.runner, *self.style.model.split(), *given],
            cwd=self.root,
            capture_output=True,
            text=True,
            timeout=600,
            env=os.environ | (environment or {}),
        )
        return Result(exit_code=done.returncode, stdout=done.stdout, stderr=done.stderr)


def foreign_project(root: Path, style: Style, compute: str = "") -> Foreign:
    """The style's project in a folder: code, data, expected outputs in the toolbox's layout, and a manifest."""
    shutil.copytree(HERE / style.name, root, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    project = Foreign(root, style)
    project.write("setup.py", "")
    for name, rows in ROWS.items():
        project.write(f"data/lungs/{name}.txt", "\n".join(map(str, rows)))
    project.write("data/more/scale.txt", str(SLOPE))
    project.write("expected/OUTPUT/Test.txt", OUTPUTS)
    project.write("expected/OUTPUT/numbers.csv", f"weight\n{1.04 * WEIGHT}\n")
    project.write("lungs.yaml", f"schema: 1\ncontainer: {style.manifest}\n{compute}")
    return project


def check_promises(result: Result, style: Style) -> dict[str, Any]:
    """The facts that the container wrote down, of a run that came to what its style's container promises anywhere."""
    assert result.exit_code == 0, result.stdout + result.stderr
    run = result.run
    # 1 and 5: each sample is evaluated exactly once, whatever the number of processes, by what the class means.
    assert (run / "Test.txt").read_text() == OUTPUTS
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["test"] == ({"test/loss": loss_of(ROWS["test"])} if style.tests else {})
    assert metrics["val"]["val/loss"] == loss_of(ROWS["val"])
    assert set((run / "prepared.txt").read_text().split()) == {"0"}
    # 2: both datasets of the class, in their order.
    assert len(result.record["datasets"]) == 2
    # 3: the class is the user's, and no example.
    assert f"ranks = {result.record['arguments']['ranks']['value']}" in (run / "args.txt").read_text()
    facts: dict[str, Any] = json.loads((run / "facts.json").read_text())
    # 8 and 9: members of its containers.
    wanted = {
        "old": {"arguments": True, "checkpoint": "last.ckpt", "nodes": 1, "gpus": 0},
        "successor": {
            "nodes": 1,
            "gpus": 0,
            "variable": "breathe",
            "experiment": "lungs-of-hi-ml",
            "folds": [1, None],
            "tests": True,
        },
        "today": {"nodes": 1},
    }[style.name]
    assert {name: facts[name] for name in wanted} == wanted
    if style.name == "old":
        assert "structures = ['left', 'right']" in (run / "args.txt").read_text()
    if style.name == "successor":
        assert (run / "extra.txt").read_text() == "asked"
        assert "timing/train/epoch_time [sec]" in (run / "metrics.csv").read_text().splitlines()[0]
        assert len([line for line in result.stdout.splitlines() if line.startswith("epoch ")]) == 2
    return facts
