"""A pytest fixture with the stand-in: `from innereye_runtime.standin.fixtures import cloud` in a conftest.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from innereye_runtime.standin.cloud import Cloud, open_cloud


@pytest.fixture(scope="session")
def cloud() -> Iterator[Cloud]:
    """One stand-in for the whole session. Azurite is looked for below the working directory, then on PATH."""
    with open_cloud([Path.cwd()]) as opened:
        yield opened
