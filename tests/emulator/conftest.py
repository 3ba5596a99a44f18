"""The stand-in for the tests of this room, one for all of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.targets.azureml.conftest import image

from azureml_emulator.checker.api_description import Description, find_description
from azureml_emulator.fixtures import cloud

ROOT = Path(__file__).resolve().parents[2]

__all__ = ["cloud", "image"]


@pytest.fixture(scope="session", autouse=True)
def _azure_packages(needs: Callable[..., None]) -> None:
    needs("azure")


@pytest.fixture(scope="session")
def description(needs: Callable[..., None]) -> Description:
    """Microsoft's published description. Not part of this project: where it is not at hand, CI goes without it too."""
    beside = ROOT.parent / "shared" / "azureml"
    found = find_description([ROOT], os.environ)
    assert found or not beside.is_dir(), f"{beside} is there, and the description in it is not found"
    needs("azureml-description")
    assert found
    return found


@pytest.fixture
def ready(needs: Callable[..., None]) -> None:
    needs("azurite")
