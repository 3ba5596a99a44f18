"""torch.compile without a compiler: the same model, told once; with one it is PyTorch's own."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import torch

from innereye_runtime.training import compiling


@pytest.fixture
def restored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", torch.compile)


def test_without_a_compiler_the_model_runs_and_it_is_told_once(
    restored: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CXX", "/nowhere/g++")
    assert compiling.missing(gpu=False)[0] == "g++"
    compiling.install(gpu=False)
    compiling.install(gpu=False)
    layer, x = torch.nn.Linear(2, 2), torch.ones(1, 2)
    logging.getLogger("innereye_runtime").propagate = True
    with caplog.at_level(logging.WARNING, "innereye_runtime"):
        compiled: Any = torch.compile(layer, mode="max-autotune")
        decorated = torch.compile(dynamic=True)(lambda value: value * 2)
        layer.compile()
    assert list(compiled.state_dict()) == ["_orig_mod.weight", "_orig_mod.bias"]
    assert torch.equal(compiled(x), layer(x)) and torch.equal(decorated(x), x * 2)
    (told,) = [record.getMessage() for record in caplog.records if record.name == "innereye_runtime"]
    assert "it needs g++" in told and "compute.docker.image" in told


def test_with_a_compiler_nothing_changes(restored: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "missing", lambda gpu: [])
    before = torch.compile
    compiling.install(gpu=True)
    assert torch.compile is before
