"""The stand-in for the tests of this room, one for all of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.targets.azureml.conftest import image

from innereye_runtime.standin.checker.description import Description, find_description
from innereye_runtime.standin.fixtures import cloud

ROOT = Path(__file__).resolve().parents[2]

__all__ = ["cloud", "image"]


@pytest.fixture(scope="session", autouse=True)
def _azure_packages(needs: Callable[..., None]) -> None:
    needs("azure")


@pytest.fixture(scope="session")
def description() -> Description:
    """Microsoft's published description; a test that needs it is left out where it is not at hand, in CI too."""
    found = find_description([ROOT], os.environ)
    if found is None:
        pytest.skip("needs Microsoft's published description (set INNEREYE_AZUREML_SPEC to a folder with it)")
    return found


@pytest.fixture
def ready(needs: Callable[..., None]) -> None:
    needs("azurite")
