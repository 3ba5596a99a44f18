"""A cache folder of its own for each test, and datasets to play with."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def cache_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache folder, as innereye-runtime sees it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "innereye-runtime"


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """A folder of three files in two folders, one of them empty."""
    root = tmp_path / "dataset"
    (root / "scans").mkdir(parents=True)
    (root / "scans" / "one.nii").write_bytes(b"one" * 1000)
    (root / "scans" / "two.nii").write_bytes(b"two" * 1000)
    (root / "empty.csv").touch()
    return root
