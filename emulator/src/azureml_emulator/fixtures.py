"""A pytest fixture with an emulator: `from azureml_emulator.fixtures import azureml_emulator` in a conftest.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from azureml_emulator.emulator import Emulator


@pytest.fixture(scope="session")
def azureml_emulator() -> Iterator[Emulator]:
    """One emulator for the whole session. Azurite is found as the command line finds it."""
    from azureml_emulator.emulator import open_emulator

    with open_emulator() as emulator:
        yield emulator
