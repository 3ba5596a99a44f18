"""What of a traceback is shown: the user's own frames and those below them, and never the way that led there."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from innereye_runtime.api.container import LightningContainer
from innereye_runtime.introspection.discovery import Location, load
from innereye_runtime.training.lifecycle.tracebacks import format_traceback, format_whole_traceback, worker_error

MODULE = """\
import json

def direct():
    raise RuntimeError("upside down")

def through_a_library():
    json.loads("{")

def chained():
    try:
        direct()
    except RuntimeError as error:
        raise ValueError("worse") from error
"""


@pytest.fixture
def users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    def write(name: str, text: str) -> Path:
        monkeypatch.syspath_prepend(str(tmp_path))
        path = tmp_path / f"{name}.py"
        path.write_text(text)
        return path

    return write


def failing(action: Callable[[], Any]) -> BaseException:
    """The error of `action`, without the frames of this file, which would count as a user's."""
    with pytest.raises(Exception) as info:
        action()
    traceback = info.value.__traceback__
    while traceback is not None and traceback.tb_frame.f_code.co_filename == __file__:
        traceback = traceback.tb_next
    return info.value.with_traceback(traceback)


def test_the_frames_of_the_users_code_alone_are_shown(users: Any) -> None:
    users("mine_direct", MODULE)
    module = importlib.import_module("mine_direct")
    for name, last in (("direct", "upside down"), ("through_a_library", "Expecting property name")):
        text = format_traceback(failing(getattr(module, name)))
        assert "innereye_runtime/" not in text
        assert last in text.splitlines()[-1]
        assert "json/decoder.py" not in text
        assert f"in {name}" in text
    assert "json/decoder.py" in format_whole_traceback(failing(module.through_a_library))


def test_an_installed_package_of_the_users_counts_as_theirs(tmp_path: Path, users: Any) -> None:
    folder = tmp_path / "site-packages"
    folder.mkdir()
    sys.path.insert(0, str(folder))
    try:
        (folder / "mine_installed.py").write_text(MODULE)
        error = failing(importlib.import_module("mine_installed").direct)
    finally:
        sys.path.remove(str(folder))
    assert "File" not in format_traceback(error)
    assert "in direct" in format_traceback(error, package="mine_installed")


def test_an_error_of_a_loaders_worker_is_shown_at_its_line(users: Any) -> None:
    path = users("mine_worker", "")
    worker = f'  File "{path}", line 3, in __getitem__\n    return self.labels[index]\n           ^^^^^^^^^^^\n'
    library = '  File "/x/site-packages/torch/fetch.py", line 54, in fetch\n    data = self.dataset[idx]\n'
    text = (
        "Caught KeyError in DataLoader worker process 2.\nOriginal Traceback (most recent call last):\n"
        f"{library}{worker}KeyError: 'a\\nb'\n"
    )
    error = failing(lambda: raising(RuntimeError(text)))
    assert format_traceback(error) == f"Traceback (most recent call last):\n{worker}KeyError: 'a\\nb'"
    found = worker_error(error)
    assert found is not None and (found.number, found.summary) == ("2", "KeyError: 'a\\nb'")


def raising(error: Exception) -> None:
    raise error


def test_each_of_a_chain_is_shortened(users: Any) -> None:
    text = format_traceback(
        failing(lambda: load(Location("mine_chain", "X", users("mine_chain", MODULE + "\nchained()\n"), 1)))
    )
    assert text.count("Traceback") == 2
    assert "innereye_runtime" not in text and "importlib" not in text
    assert "The above exception was the direct cause" in text


def test_a_syntax_error_is_its_own_place(users: Any) -> None:
    text = format_traceback(failing(lambda: load(Location("mine_syntax", "X", users("mine_syntax", "def f(:\n"), 1))))
    assert [line.strip() for line in text.splitlines() if line.strip().startswith("File")] == [
        f'File "{users("mine_syntax", "def f(:")}", line 1'
    ]
    assert text.endswith("SyntaxError: invalid syntax")


def test_an_error_of_ours_is_shown_whole() -> None:
    text = format_traceback(failing(LightningContainer().create_model))
    assert "innereye_runtime/api/container.py" in text


def test_a_library_that_we_called_is_shown_without_us(users: Any) -> None:
    error = failing(lambda: load(Location("json.nothing", "X", Path("x.py"), 1)))
    assert isinstance(error, ModuleNotFoundError)
    sys.modules.pop("json.nothing", None)
    assert "json.nothing" in format_traceback(error)
