"""The emulator for the tests of this folder, one for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from tests.conftest import ROOT
from tests.emulator_contract.conftest import description
from tests.targets.azureml.conftest import image

from azureml_emulator.emulator import Emulator, open_emulator

__all__ = ["description", "image"]


@pytest.fixture(scope="session", autouse=True)
def _azure_packages(needs: Callable[..., None]) -> None:
    needs("azure")


@pytest.fixture(scope="session")
def emulator(needs: Callable[..., None]) -> Iterator[Emulator]:
    needs("azurite")
    with open_emulator(ROOT) as opened:
        yield opened


@pytest.fixture
def ready(needs: Callable[..., None]) -> None:
    needs("azurite")
