"""A pytest fixture with the stand-in: `from azureml_emulator.fixtures import cloud` in a conftest.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from azureml_emulator.emulator import Cloud


@pytest.fixture(scope="session")
def cloud() -> Iterator[Cloud]:
    """One stand-in for the whole session. Azurite is looked for below the working directory, then on PATH."""
    from azureml_emulator.emulator import open_cloud

    with open_cloud([Path.cwd()]) as opened:
        yield opened
