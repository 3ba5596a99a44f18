"""Microsoft's published API description, for the tests of this folder and of the emulator."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from tests.conftest import ROOT
from tests.emulator_contract.api_description import ApiDescription, find_api_description


@pytest.fixture(scope="session")
def description(needs: Callable[..., None]) -> ApiDescription:
    """The description. It is not part of this project: where it is not available, CI does without it too."""
    beside = ROOT.parent / "shared" / "azureml"
    found = find_api_description(os.environ)
    assert found or not beside.is_dir(), f"{beside} exists, and the description in it is not found"
    needs("azureml-description")
    assert found
    return found
