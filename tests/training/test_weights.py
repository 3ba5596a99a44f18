"""The fingerprint of weights, held against bytes that were put together by hand."""

from __future__ import annotations

import argparse
import builtins
import codecs
import ctypes
import datetime
import functools
import hashlib
import importlib
import logging
import operator
import os
import pickle
import runpy
import shutil
import struct
import subprocess
import threading
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning_fabric.utilities.data import AttributeDict
from pytorch_lightning.plugins import TorchCheckpointIO

from innereye_runtime.errors import DataError
from innereye_runtime.training.checkpoints.given_checkpoints import GivenCheckpoints
from innereye_runtime.training.checkpoints.weights import read_weights, weights_sha256


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


class Payload:
    """Unpickled, it is the result of a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self._call = (function, arguments)

    def __reduce__(self) -> Any:
        return self._call


def payloads(mark: Path) -> dict[str, Any]:
    shell = f"touch {mark}"
    return {
        "os.system": Payload(os.system, shell),
        "subprocess": Payload(subprocess.call, ["touch", str(mark)]),
        "eval": Payload(eval, f"open({str(mark)!r}, 'w')"),
        "exec": Payload(exec, f"open({str(mark)!r}, 'w')"),
        "open": Payload(open, str(mark), "w"),
        "getattr": Payload(getattr, Payload(__import__, "os"), "system"),
        "partial": Payload(partial, os.system, shell),
        "Path.touch": Payload(Path.touch, mark),
        "torch": Payload(torch.save, {}, str(mark)),
        "numpy": Payload(np.save, str(mark), 1),
        "map": Payload(builtins.list, Payload(map, os.system, [shell])),
        "os.open": Payload(os.open, str(mark), os.O_CREAT),
        "os.mkdir": Payload(os.mkdir, str(mark)),
        "Popen": Payload(subprocess.Popen, ["touch", str(mark)]),
        "compile": Payload(exec, Payload(compile, f"open({str(mark)!r}, 'w')", "x", "exec")),
        "import_module": Payload(importlib.import_module, "antigravity"),
        "run_path": Payload(runpy.run_path, str(mark)),
        "methodcaller": Payload(operator.methodcaller("touch"), mark),
        "reduce": Payload(functools.reduce, os.system, [shell]),
        "shutil": Payload(shutil.copyfile, __file__, str(mark)),
        "pickle in a pickle": Payload(pickle.loads, pickle.dumps(Payload(os.system, shell))),
        "torch.load": Payload(partial(torch.load, weights_only=False), str(mark)),
        "a library": Payload(ctypes.CDLL, str(mark)),
        "a thread": Payload(threading.Timer, 0, os.system, [shell]),
        "codecs": Payload(codecs.open, str(mark), "w"),
    }


@pytest.mark.parametrize("kind", payloads(Path()))
@pytest.mark.parametrize("place", ["hyper_parameters", "state_dict", "alone"])
@pytest.mark.parametrize("zipped", [True, False])
def test_no_code_in_a_weights_file_is_run(tmp_path: Path, kind: str, place: str, zipped: bool) -> None:
    mark, file = tmp_path / "ran", tmp_path / "pretrained_models" / "w.ckpt"
    file.parent.mkdir()
    payload = payloads(mark)[kind]
    content: Any = {"state_dict": {"w": torch.ones(1)}, "hyper_parameters": {}}
    if place == "alone":
        content = payload
    else:
        content[place]["x"] = payload
    torch.save(content, file, _use_new_zipfile_serialization=zipped)
    given = GivenCheckpoints(TorchCheckpointIO(), tmp_path)
    for read in (read_weights, given.load_checkpoint, partial(given.load_checkpoint, weights_only=False)):
        with pytest.raises(DataError, match="could run code that it holds") as caught:
            read(file)
        assert "torch.save({'state_dict'" in caught.value.hint
    assert not list(tmp_path.glob("ran*"))


def test_flipped_bits_in_a_weights_file_are_never_taken_silently(tmp_path: Path) -> None:
    sound = torch.arange(2000.0)
    torch.save({"state_dict": {"w": sound}}, tmp_path / "w.ckpt")
    content = (tmp_path / "w.ckpt").read_bytes()
    readers = [
        read_weights,
        GivenCheckpoints(TorchCheckpointIO(), tmp_path / "run").load_checkpoint,
        partial(GivenCheckpoints(TorchCheckpointIO(), tmp_path).load_checkpoint, weights_only=False),  # the run's own
    ]
    refused = 0
    for position in range(0, len(content), len(content) // 100):
        flipped = bytearray(content)
        flipped[position] ^= 1 << (position % 8)
        (tmp_path / "w.ckpt").write_bytes(flipped)
        for read in readers:
            try:
                assert read(tmp_path / "w.ckpt")["state_dict"]["w"].equal(sound), position
            except DataError:
                refused += 1
    assert refused > 3 * 80
    (tmp_path / "w.ckpt").write_bytes(b"")
    with pytest.raises(DataError, match=r"w\.ckpt can't be read: it is empty"):
        read_weights(tmp_path / "w.ckpt")


def test_what_lightning_writes_beside_weights_is_read(tmp_path: Path) -> None:
    hyper = AttributeDict(
        rate=0.1,
        folder=Path("data"),
        names=np.array(["a"]),
        kept=frozenset({1}),
        day=datetime.date(2026, 11, 28),
        table=np.arange(3),
        number=np.float32(2),
        space=argparse.Namespace(a=1),
    )
    content = {"state_dict": OrderedDict(w=torch.ones(2)), "hyper_parameters": hyper, "loops": {"x": [1, None]}}
    torch.save(content, tmp_path / "w.ckpt")
    assert read_weights(tmp_path / "w.ckpt")["hyper_parameters"]["folder"] == Path("data")
    (tmp_path / "checkpoints").mkdir()
    torch.save({**content, "callbacks": {"own": Payload(os.getpid)}}, tmp_path / "checkpoints" / "last.ckpt")
    given = GivenCheckpoints(TorchCheckpointIO(), tmp_path)
    assert given.load_checkpoint(tmp_path / "checkpoints" / "last.ckpt", weights_only=False)["callbacks"]
