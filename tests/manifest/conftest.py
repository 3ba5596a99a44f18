from __future__ import annotations

import os

import pytest


@pytest.fixture
def regenerate() -> bool:
    """Whether golden files are written anew from what the code says now."""
    return os.environ.get("GOLDEN") == "write"
