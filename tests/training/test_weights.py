"""The fingerprint of weights, held against bytes that were put together by hand."""

from __future__ import annotations

import hashlib
import logging
import struct
from collections import OrderedDict
from collections.abc import Callable

import pytest
import torch

from innereye_runtime.training.checkpoints.weights import weights_sha256


def test_the_bytes_that_are_hashed() -> None:
    state = OrderedDict(b=torch.tensor([[1.0, 2.0]]), a=torch.tensor(7))
    content = b"a" + b"torch.int64" + b"torch.Size([])" + struct.pack("<q", 7)
    content += b"b" + b"torch.float32" + b"torch.Size([1, 2])" + struct.pack("<ff", 1.0, 2.0)
    assert weights_sha256(state) == hashlib.sha256(content).hexdigest()


def test_memory_layout_does_not_count_and_values_do() -> None:
    tensor = torch.arange(6).reshape(2, 3)
    assert weights_sha256({"w": tensor.t().contiguous().t()}) == weights_sha256({"w": tensor})
    assert weights_sha256({"w": tensor + 1}) != weights_sha256({"w": tensor})
    assert weights_sha256({"v": tensor}) != weights_sha256({"w": tensor})


def test_types_that_numpy_does_not_know() -> None:
    assert weights_sha256({"w": torch.ones(2, dtype=torch.bfloat16)}) != weights_sha256({"w": torch.ones(2)})
    assert len(weights_sha256({"empty": torch.empty(0), "flag": torch.tensor(True), "extra": {"no": "tensor"}})) == 64


@pytest.mark.filterwarnings("ignore")  # PyTorch's remarks on sparse, nested and quantised tensors
def test_tensors_of_every_layout_have_a_fingerprint_of_their_values(caplog: pytest.LogCaptureFixture) -> None:
    dense = torch.tensor([[0.0, 2.0], [3.0, 0.0]])
    other = torch.tensor([[0.0, 2.0], [4.0, 0.0]])

    def quantised(tensor: torch.Tensor) -> torch.Tensor:
        return torch.quantize_per_tensor(tensor, 0.1, 2, torch.qint8)

    def by_channel(tensor: torch.Tensor) -> torch.Tensor:
        return torch.quantize_per_channel(tensor, torch.tensor([0.1, 0.2]), torch.tensor([0, 1]), 0, torch.qint8)

    makers: list[Callable[[torch.Tensor], torch.Tensor]] = [
        torch.Tensor.to_sparse,
        torch.Tensor.to_sparse_csr,
        torch.Tensor.to_sparse_csc,
        lambda tensor: tensor.to_sparse_bsr((1, 1)),
        lambda tensor: torch.complex(tensor, tensor),
        lambda tensor: torch.complex(tensor, tensor).conj(),
        quantised,
        by_channel,
        lambda tensor: torch.nested.nested_tensor([tensor, tensor[:1]]),
        lambda tensor: torch.nested.nested_tensor([tensor, tensor[:1]], layout=torch.jagged),
    ]
    with caplog.at_level(logging.WARNING, "innereye_runtime"):
        logging.getLogger("innereye_runtime").propagate = True
        for make in makers:
            assert weights_sha256({"w": make(dense)}) == weights_sha256({"w": make(dense.clone())})
            assert weights_sha256({"w": make(dense)}) != weights_sha256({"w": make(other)})
        weights_sha256({"w": torch.empty(2, device="meta")})
    assert caplog.text == ""
    twice = torch.sparse_coo_tensor([[0, 0], [1, 1]], [1.0, 1.0], (2, 2))
    assert weights_sha256({"w": twice}) == weights_sha256({"w": torch.sparse_coo_tensor([[0], [1]], [2.0], (2, 2))})


def test_a_tensor_without_readable_values_is_reported_and_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    lazy = torch.nn.LazyLinear(2).state_dict()
    with caplog.at_level(logging.WARNING, "innereye_runtime"):
        logging.getLogger("innereye_runtime").propagate = True
        assert len(weights_sha256({**lazy, "more": torch.ones(2)})) == 64
    assert "does not cover the values of bias (UninitializedParameter" in caplog.text
