"""The fingerprint of weights, held against bytes that were put together by hand."""

from __future__ import annotations

import hashlib
import struct
from collections import OrderedDict

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
