"""What run.json says of the code: its commit and what was changed since."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from innereye_runtime.job import provenance
from innereye_runtime.job.provenance import Code


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    def git(*words: str) -> None:
        subprocess.run(["git", "-C", str(tmp_path), "-c", "user.name=n", "-c", "user.email=e", *words], check=True)

    git("init", "-q")
    (tmp_path / "model.py").write_text("a = 1\n")
    git("add", ".")
    git("commit", "-q", "-m", "first")
    return tmp_path


def test_the_commit_and_what_was_changed_since_are_told(repository: Path) -> None:
    clean = provenance.code(repository)
    assert clean.commit and len(clean.commit) == 40
    assert clean == Code(root=str(repository), commit=clean.commit)
    (repository / "model.py").write_text("a = 2\n")
    changed = provenance.code(repository)
    assert (changed.commit, changed.dirty) == (clean.commit, True)
    assert "-a = 1\n+a = 2\n" in changed.diff


def test_untracked_files_are_told_and_not_shown(repository: Path) -> None:
    (repository / "secret.key").write_text("hush")
    changed = provenance.code(repository)
    assert (changed.dirty, changed.diff) == (True, "")


def test_a_changed_file_that_looks_like_a_secret_is_named_and_not_shown(repository: Path) -> None:
    (repository / "conf").mkdir()
    for name in (".env", "conf/id_rsa", "other.py"):
        (repository / name).write_text("hush1\n")
    subprocess.run(["git", "-C", str(repository), "add", "-f", "."], check=True)
    changed = provenance.code(repository)
    assert changed.left_out == (".env", "conf/id_rsa")
    assert changed.diff.count("hush1") == 1 and "other.py" in changed.diff


def test_code_that_is_under_no_git_has_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert provenance.code(tmp_path) == Code(root=str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert provenance.code(tmp_path) == Code(root=str(tmp_path))
