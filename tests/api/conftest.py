from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent

Write = Callable[[str, str], Path]


@pytest.fixture(autouse=True)
def fresh_imports() -> Iterator[None]:
    """Modules that a test imports from its own folder are not there for the next one."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    own = [name for name in set(sys.modules) - modules if _is_of_a_test(name)]
    for name in own:
        del sys.modules[name]


def _is_of_a_test(name: str) -> bool:
    spec = getattr(sys.modules[name], "__spec__", None)
    places = [spec.origin or "", *(spec.submodule_search_locations or ())] if spec is not None else []
    return any("pytest-of" in place or place.startswith(str(HERE / "listings")) for place in places)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes source files below the test's folder, with the packages that hold them, and returns that folder."""

    def written(name: str, text: str) -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return tmp_path

    return written
