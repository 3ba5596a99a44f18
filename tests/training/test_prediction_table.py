"""The table of what `predict_step` returns: which outputs have one, and that none is written of the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from innereye_runtime.training.evaluation.prediction_table import PredictionTable, columns_of


@pytest.mark.parametrize(
    ("outputs", "columns"),
    [
        (torch.tensor([1.5, 2.0]), {"prediction": [1.5, 2.0]}),
        (torch.tensor([[1.5], [2.0]]), {"prediction": [1.5, 2.0]}),
        (torch.tensor([[1, 2], [3, 4]]), {"prediction_0": [1, 3], "prediction_1": [2, 4]}),
        ({"id": ["a", "b"], "p": torch.tensor([1.0, 2.0])}, {"id": ["a", "b"], "p": [1.0, 2.0]}),
        ({"id": (torch.tensor(7),), "p": [0.5]}, {"id": [7], "p": [0.5]}),
        ({"id": ["a"], "p": torch.tensor([1.0, 2.0])}, None),
        (torch.zeros(2, 1, 4, 4), None),
        (torch.zeros(2, 257), None),
        (torch.tensor(1.0), None),
        ({"loss": 0.5}, None),
        ({}, None),
        ("text", None),
    ],
)
def test_outputs_are_columns_of_one_length_or_no_table(outputs: Any, columns: Any) -> None:
    assert columns_of(outputs) == columns


def test_a_table_grows_by_batches_and_is_dropped_where_they_differ(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "t.csv"
    file.write_text("of an earlier attempt\n")
    table = PredictionTable(file)
    table.add({"id": ["a,b"], "p": torch.tensor([0.1], dtype=torch.float64)})
    table.add({"id": ["c"], "p": torch.tensor([1e-30], dtype=torch.float64)})
    assert file.read_text() == 'id,p\n"a,b",0.1\nc,1e-30\n'
    table.add({"id": ["d"]})
    table.add({"id": ["e"], "p": torch.tensor([1.0])})
    assert not file.exists()
    assert "batches of predictions have different columns" in caplog.text
