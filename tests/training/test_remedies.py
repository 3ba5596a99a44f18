"""Remedies that the first hour's projects do not show, and objects that can't be looked at."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from innereye_runtime.training.lifecycle.remedies import remedy

MODULE = """\
class Hostile:
    def __dir__(self):
        raise RuntimeError("not for you")

    @property
    def local_dataset(self):
        raise KeyError("nor this")

    def run(self):
        return self.nothing_there, self.local_dataset

class Base:
    def __init__(self):
        self.kept = 1

class Child(Base):
    def __init__(self):
        self.own = 2

    def run(self):
        return self.kept

class Right(Base):
    def __init__(self):
        super().__init__()

    def run(self):
        return self.kepd
"""


def error_of(name: str) -> BaseException:
    with pytest.raises(Exception) as info:
        getattr(importlib.import_module("remedied"), name)().run()
    return info.value


def test_the_first_cause_that_the_frames_show_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "remedied.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert remedy(error_of("Hostile")) == ""
    assert remedy(error_of("Child")) == f"call super().__init__() first in Child.__init__ ({tmp_path}/remedied.py:17)"
    assert remedy(error_of("Right")) == "did you mean 'kept'?"
    assert remedy(ValueError("without frames")) == ""
