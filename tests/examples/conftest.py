from __future__ import annotations

from collections.abc import Callable

import pytest


@pytest.fixture
def needs_torch(needs: Callable[..., None]) -> None:
    needs("torch")
