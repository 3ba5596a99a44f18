"""A cache folder of its own for each test, and datasets to play with."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.data.store import Azurite, Container

from innereye_runtime.data.staging import release


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


@pytest.fixture(scope="session")
def azurite(needs: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    """A blob store that runs as long as the tests do."""
    needs("azurite")
    store = Azurite(tmp_path_factory.mktemp("azurite"))
    yield store
    store.stop()


@pytest.fixture
def container(azurite: Azurite, monkeypatch: pytest.MonkeyPatch) -> Iterator[Container]:
    """An empty container, which the environment gives access to. What the test holds of the cache is let go."""
    for name, value in azurite.environment().items():
        monkeypatch.setenv(name, value)
    yield azurite.create(f"c{secrets.token_hex(8)}")
    release()
