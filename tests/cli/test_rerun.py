"""`rerun`: the code of a run is had again from its record, and the result is compared with the first."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.faults.reruns import problem_of

from innereye_runtime.cli.commands.rerun import _outputs_of, run
from innereye_runtime.errors import UsageError
from innereye_runtime.job.checkout import checked_out, packages_that_differ
from innereye_runtime.job.provenance import code, packages

NOBODY = {f"GIT_{who}_{what}": "nobody" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def git(root: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", root, *words], env={**os.environ, **NOBODY}, capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with a project in a folder of it."""
    (tmp_path / "top" / "project").mkdir(parents=True)
    (tmp_path / "top" / "project" / "model.py").write_text("a\nb\nc\n")
    (tmp_path / "top" / "other.txt").write_text("other\n")
    git(tmp_path / "top", "init", "-q")
    git(tmp_path / "top", "add", "--all")
    git(tmp_path / "top", "commit", "-qm", "first")
    return tmp_path / "top"


def recorded(root: Path) -> dict[str, Any]:
    found = code(root)
    return {"root": found.root, "commit": found.commit, "dirty": found.dirty, "diff": found.diff}


def test_code_is_at_its_commit_with_its_changes_and_nothing_is_left(repository: Path) -> None:
    project = repository / "project"
    (project / "model.py").write_text("a\nB\nc\n")
    record = recorded(project)
    git(repository, "commit", "-qam", "second")
    (project / "model.py").write_text("later\n")
    with checked_out(record) as checkout:
        assert (checkout.root / "model.py").read_text() == "a\nB\nc\n"
        assert (checkout.root.parent / "other.txt").is_file()
        assert code(checkout.root).commit == record["commit"]
        assert checkout.notes == ("files that git did not track are not recorded, and are left out",)
        place = checkout.root
    assert not place.exists()
    assert len(git(repository, "worktree", "list").splitlines()) == 1
    assert (project / "model.py").read_text() == "later\n"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"commit": "0" * 40}, "can't be checked out"),
        ({"diff": "nothing that can be applied"}, "the recorded changes can't be applied to the commit"),
        ({"root": "/no/such/folder"}, "the code of the run is not there any more: /no/such/folder"),
    ],
)
def test_what_can_not_be_had_again_is_an_error(repository: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message), checked_out({**recorded(repository), **change}):
        pass
    assert len(git(repository, "worktree", "list").splitlines()) == 1


def test_code_without_a_repository_is_used_as_it_is(tmp_path: Path) -> None:
    with checked_out({"root": str(tmp_path), "commit": None}) as checkout:
        assert checkout.root == tmp_path
        assert checkout.notes == (f"the code was in no repository: {tmp_path} is used as it is now",)


def test_other_packages_are_named() -> None:
    assert packages_that_differ(packages()) == ()
    assert packages_that_differ({"monai": "0.0.1", "torch": "1.0"}) == (
        f"the run had other packages: monai 0.0.1 (here {packages().get('monai', 'none')}), "
        f"torch 1.0 (here {packages()['torch']})",
    )


@pytest.mark.parametrize("kind", ["dirty", "untracked", "data_changed"])
def test_a_run_is_run_again_from_another_checkout(tmp_path: Path, needs: Callable[..., None], kind: str) -> None:
    """Three of the ten kinds of `python -m tests.faults.reruns`."""
    needs("torch")
    problem, _ = problem_of(kind, tmp_path)
    assert not problem


def test_the_new_run_of_a_trial_lies_beside_its_sweep_and_a_whole_sweep_is_refused(tmp_path: Path) -> None:
    sweep = tmp_path / "outputs" / "sweep"
    (sweep / "trials" / "000").mkdir(parents=True)
    (sweep / "ensemble").mkdir()
    (sweep / "sweep.json").write_text("{}")
    runs = [sweep / "trials" / "000", sweep / "ensemble", tmp_path / "outputs" / "run"]
    assert {_outputs_of(run) for run in runs} == {tmp_path / "outputs"}
    with pytest.raises(UsageError, match="one of its trials can be run again"):
        run([str(sweep)])
