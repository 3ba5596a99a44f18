from __future__ import annotations

import pytest

from azureml_emulator.errors import UsageError
from azureml_emulator.faults import Fault, FaultInjector


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("429", Fault(kind="429")),
        ("dropped@blob:3", Fault(kind="dropped", where="blob", times=3)),
        ("answer-dropped@PUT */jobs/*", Fault(kind="answer-dropped", where="PUT */jobs/*")),
        ("token-expired:2", Fault(kind="token-expired", times=2)),
    ],
)
def test_a_fault_is_read_from_text(text: str, fault: Fault) -> None:
    assert Fault.parse(text) == fault


@pytest.mark.parametrize("text", ["", "418", "4299@PUT", "500:many"])
def test_text_that_is_not_a_fault_is_rejected(text: str) -> None:
    with pytest.raises(UsageError, match="is not a fault"):
        Fault.parse(text)


def test_a_fault_happens_to_what_fits_and_as_often_as_was_said() -> None:
    faults = FaultInjector([Fault(kind="500", where="PUT *", times=2), Fault(kind="slow", where="blob")])
    requests = ["GET a/b", "PUT a/b", "PUT a/b", "PUT a/b", "GET x.blob/y"]
    assert [faults.next_fault(request) for request in requests] == [None, "500", "500", None, "slow"]
    assert faults.done == [("500", "PUT a/b"), ("500", "PUT a/b"), ("slow", "GET x.blob/y")]
