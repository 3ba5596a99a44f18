from __future__ import annotations

import pytest

from azureml_emulator.faults import Fault, FaultPlan
from innereye_runtime.errors import UsageError


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
def test_what_is_no_fault_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no fault"):
        Fault.parse(text)


def test_a_fault_happens_to_what_fits_and_as_often_as_was_said() -> None:
    plan = FaultPlan([Fault(kind="500", where="PUT *", times=2), Fault(kind="slow", where="blob")])
    requests = ["GET a/b", "PUT a/b", "PUT a/b", "PUT a/b", "GET x.blob/y"]
    assert [plan.take(request) for request in requests] == [None, "500", "500", None, "slow"]
    assert plan.done == [("500", "PUT a/b"), ("500", "PUT a/b"), ("slow", "GET x.blob/y")]
