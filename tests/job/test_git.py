"""Nothing that a repository configures is run, whoever owns it, and nothing is read from another user's."""

from __future__ import annotations

import os
import subprocess
from dataclasses import asdict
from pathlib import Path

import pytest

from innereye_runtime.job import provenance
from innereye_runtime.job.git import Repository
from innereye_runtime.targets.azureml.snapshot import take_snapshot

NOBODY = 65534


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """A repository that configures a program for everything that git runs programs for; each leaves its name."""
    root = tmp_path / "trap"
    root.mkdir()
    program = root / "program"
    program.write_text(f'#!/bin/sh\necho "$0 $*" >> {tmp_path}/ran\ncat\n')
    program.chmod(0o755)
    (root / "model.py").write_text("a = 1\n")
    (root / "text.txt").write_text("1\n")
    (root / "long.dat").write_text("1\n")
    git(root, "init", "-q")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "first")
    (root / ".gitattributes").write_text("*.py filter=f diff=d\n*.txt filter=g diff=e\n*.dat filter=p\n")
    (root / "model.py").write_text("a = 2\n")
    (root / "text.txt").write_text("2\n")
    (root / "long.dat").write_text("2\n")
    for hook in ("post-index-change", "fsmonitor-watchman", "pre-commit", "reference-transaction"):
        (root / ".git" / "hooks").mkdir(exist_ok=True)
        (root / ".git" / "hooks" / hook).symlink_to(program)
    included = root / ".git" / "more"
    for name in ("filter.f.clean", "filter.f.smudge", "filter.p.process", "core.pager", "pager.status", "pager.diff"):
        git(root, "config", "-f", str(included), name, str(program))
    git(root, "config", "include.path", str(included))
    for name in ("filter.g.clean", "core.fsmonitor", "diff.external", "diff.d.command", "diff.e.textconv"):
        git(root, "config", name, str(program))
    for name in ("core.sshCommand", "core.editor", "credential.helper", "gpg.program", "core.alternateRefsCommand"):
        git(root, "config", name, str(program))
    return root


def git(root: Path, *words: str) -> None:
    subprocess.run(["git", "-C", str(root), "-c", "user.name=n", "-c", "user.email=e", *words], check=True)


def test_no_program_that_a_repository_names_is_run(trap: Path) -> None:
    subprocess.run(["git", "-C", str(trap), "status"], capture_output=True, check=False)
    assert "program" in (trap.parent / "ran").read_text(), "the trap itself works"
    (trap.parent / "ran").unlink()
    code = provenance.code(trap)
    assert (code.dirty, code.git_failure) == (True, "")
    assert all(text in code.diff for text in ("-a = 1\n+a = 2\n", "-1\n+2\n"))
    assert [name for name, _ in take_snapshot(trap, without=trap / "outputs").files][-1] == "text.txt"
    assert not (trap.parent / "ran").exists()


def test_a_filter_that_cannot_be_switched_off_is_reported_and_not_run(trap: Path) -> None:
    git(trap, "config", "filter.x=y.clean", str(trap / "program"))
    (trap / ".gitattributes").write_text("*.py filter=x=y\n")
    code = provenance.code(trap)
    assert not (trap.parent / "ran").exists()
    assert code.commit and not code.diff
    assert "filter.x=y, which can't be switched off" in code.git_failure


@pytest.mark.parametrize("inside", [".", "mine"])
def test_a_repository_of_another_user_is_recorded_and_not_read(
    trap: Path, monkeypatch: pytest.MonkeyPatch, inside: str
) -> None:
    folder = trap / inside
    folder.mkdir(exist_ok=True)
    if os.geteuid() == 0:
        monkeypatch.delenv("SUDO_UID", raising=False)
        for path in (trap, *(each for each in trap.rglob("*") if inside not in each.parts)):
            os.lchown(path, NOBODY, NOBODY)
    else:
        monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    code = provenance.code(folder)
    assert "dubious ownership" in code.git_failure
    assert asdict(code) == asdict(provenance.Code(root=str(folder), git_failure=code.git_failure))
    take_snapshot(folder, without=folder / "outputs")
    assert Repository(folder).files().foreign
    assert not (trap.parent / "ran").exists()
    if os.geteuid() == 0:
        monkeypatch.setenv("SUDO_UID", str(NOBODY))
        assert provenance.code(folder).commit, "root asks about what its caller owns"
        assert not (trap.parent / "ran").exists()


def test_a_hook_that_started_the_caller_does_not_choose_the_repository(
    trap: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(trap / ".git"))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", str(trap / "program"))
    (tmp_path / "elsewhere").mkdir()
    assert provenance.code(tmp_path / "elsewhere").commit is None
    assert provenance.code(trap).dirty
    assert not (tmp_path / "ran").exists()
