"""Each case has the same weights, metrics and order of hooks under the runtime as under `pl.Trainer`; resumed, too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from innereye_runtime.errors import UsageError
from tests.conformance import cases
from tests.conformance.base import CASES, Case
from tests.conformance.comparison import (
    Outcome,
    resumed,
    same,
    table,
    under_lightning,
    under_the_runtime,
)

pytestmark = pytest.mark.filterwarnings("ignore")  # Lightning's remarks on small loaders, on both sides

cases.load()


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@contextmanager
def known(reason: str) -> Iterator[None]:
    """Where there is a reason to differ, the block must fail: whoever mends what differs deletes the reason."""
    if not reason:
        yield
        return
    with pytest.raises((AssertionError, AttributeError, UsageError)):
        yield
        pytest.fail(f"it no longer differs, so delete: {reason}")


def test_there_are_sixty_cases_and_more() -> None:
    assert len(CASES) >= 60
    assert len({case.__name__ for case in CASES}) == len(CASES)


@pytest.mark.parametrize("kind", CASES, ids=lambda kind: kind.__name__)
def test_a_case_is_the_same_as_under_lightning(kind: type[Case], tmp_path: Path) -> None:
    case = kind()
    with known(case.differs):
        expected = under_lightning(case, tmp_path / "lightning")
        own = under_the_runtime(case, tmp_path / "runtime")
        assert differences(expected, own, leave_out=("table",)) == {}
        assert table(tmp_path / "runtime") == own.table


@pytest.mark.parametrize("kind", [one for one in CASES if one.killed_in], ids=lambda kind: kind.__name__)
def test_a_case_that_was_killed_and_resumed_is_the_same_as_unbroken(kind: type[Case], tmp_path: Path) -> None:
    case = kind()
    with known(case.differs_resumed):
        unbroken = under_the_runtime(case, tmp_path / "unbroken", evaluated=False)
        again = resumed(case, tmp_path / "resumed")
        assert differences(unbroken, again, leave_out=("events", "rows", "hyperparameters")) == {}
        assert table(tmp_path / "resumed") == table(tmp_path / "unbroken")


def differences(expected: Outcome, own: Outcome, *, leave_out: tuple[str, ...]) -> dict[str, Any]:
    """The fields that differ, each with the first place where it does."""
    found: dict[str, Any] = {}
    for name in Outcome.__slots__:
        one, other = getattr(expected, name), getattr(own, name)
        if name not in leave_out and not same(one, other):
            found[name] = {"expected": _short(one, other), "got": _short(other, one)}
    return found


def _short(one: Any, other: Any) -> Any:
    """Of a list, what begins at the first place where it differs from another."""
    if not isinstance(one, list):
        return one
    first = next((index for index, pair in enumerate(zip(one, other, strict=False)) if not same(*pair)), len(other))
    return (first, one[max(first - 2, 0) : first + 6])
