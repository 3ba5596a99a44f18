"""`innereye-run drill`: broken and resumed runs equal the unbroken one, or the difference is named."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from tests.projects import CONTAINER, tiny_project

from innereye_runtime.cli.commands.drill import _bad_end

FORGETFUL = CONTAINER.replace(
    "        loss = self.loss((x + 0.1 * torch.randn_like(x), y))\n",
    "        Model.steps = getattr(Model, 'steps', 0) + 1\n"  # of the class, which no checkpoint looks at
    "        loss = self.loss((x + 0.1 * torch.randn_like(x), y)) * Model.steps\n",
)


def test_a_stopped_and_resumed_run_equals_the_unbroken_one(needs: Callable[..., None], tmp_path: Path) -> None:
    needs("torch")
    project = tiny_project(tmp_path)
    done = project.run("drill", "--json", "tiny.yaml", "--kills=0", "--signals=1", "--pause=0.2")
    assert done.exit_code == 0, done.stderr
    (one,) = json.loads(done.stdout)["breaks"]
    assert (one["kind"], one["differences"]) == ("SIGTERM", [])


def test_a_difference_is_named_with_its_likely_cause(needs: Callable[..., None], tmp_path: Path) -> None:
    needs("torch")
    project = tiny_project(tmp_path)
    assert FORGETFUL != CONTAINER
    project.write("tiny.py", FORGETFUL)
    # On a machine whose load changes, one of two may come before training or after it.
    done = project.run("drill", "tiny.yaml", "--kills=2", "--signals=0", "--seed=5", "--pause=0.5")
    assert done.exit_code == 6
    assert re.fullmatch(r"[01] of 2 broken runs equal the unbroken one\n", done.stdout)
    assert "the weights of last.ckpt differ" in done.stderr
    assert "metrics.csv differs from epoch" in done.stderr
    assert "save what your code keeps elsewhere" in done.stderr.lower()


def test_a_signal_that_met_python_itself_at_its_start_is_no_fault_of_the_run(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("Fatal Python error: init_import_site: Failed to import the site module\n")
    (tmp_path / "other").write_text("Traceback (most recent call last):\n")
    assert [*_bad_end(1, "SIGINT", 0.1, tmp_path / "log")] == []
    assert [*_bad_end(1, "SIGINT", 0.1, tmp_path / "other")] == ["ended with exit code 1, not 130"]
    assert [*_bad_end(-2, "SIGINT", 11.0, tmp_path / "other")] == ["took 11 s to end"]


def test_other_targets_are_refused(tmp_path: Path) -> None:
    done = tiny_project(tmp_path).run("drill", "--target", "docker", "tiny.yaml")
    assert done.exit_code == 2
    assert "add --target process" in done.stderr
