"""Stores that refuse what a file system does not, as the processes of a job and other nodes meet them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

PROGRAM = """
import os, pathlib, sys
folder = pathlib.Path(sys.argv[1])
(folder / "a").write_text("a")
for name, call in {
    "rename": lambda: (folder / "a").replace(folder / "b"),
    "append": lambda: (folder / "a").open("a"),
    "delete": lambda: (folder / "a").unlink(),
    "elsewhere": lambda: os.remove("here"),
}.items():
    try:
        call()
    except OSError as error:
        print(name, error.strerror)
written = 0
for _ in range(6):
    try:
        written += (folder / "c").write_text("c")
    except OSError:
        pass
print(written)
"""


@pytest.mark.parametrize(
    ("modes", "refused", "written"),
    [
        (["no-rename", "no-append", "no-delete"], ["rename", "append", "delete"], 6),
        (["failing"], [], 4),
        ([], [], 6),
    ],
)
def test_a_job_meets_what_its_store_refuses(
    modes: list[str], refused: list[str], written: int, tmp_path: Path, needs: Callable[..., None]
) -> None:
    needs("azure")
    from azureml_emulator.storage import output_store

    store = output_store.OutputStore(modes)  # type: ignore[arg-type]
    (tmp_path / "out").mkdir()
    (tmp_path / "here").touch()
    hook = str(Path(output_store.__file__).with_name("job_hook"))
    assert store.mounts() == (["--volume", f"{hook}:{output_store.HOOK_FOLDER}:ro"] if modes else [])
    variables = {**store.environment([str(tmp_path / "out")], {"PYTHONPATH": "/own"})}
    if modes:
        assert variables["PYTHONPATH"] == f"{output_store.HOOK_FOLDER}:/own"
        variables["PYTHONPATH"] = hook
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "out"],
        cwd=tmp_path,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    *lines, count = done.stdout.splitlines()
    assert [line.partition(" ")[0] for line in lines] == refused
    assert int(count) == written


def test_each_node_sees_what_others_have_closed(tmp_path: Path, needs: Callable[..., None]) -> None:
    needs("azure")
    from azureml_emulator.storage import output_store

    views = output_store.OutputStore(["close-to-open"]).views(tmp_path, 2)
    for view in views:
        view.mkdir()
    closed, still_open = views[0] / "closed", views[1] / "open"
    closed.write_text("old")
    os.utime(closed, (1, 1))
    still_open.write_text("half")
    output_store._exchange(views, open_files=False)
    assert [sorted(path.name for path in view.iterdir()) for view in views] == [["closed"], ["closed", "open"]]
    (views[1] / "closed").write_text("new")
    output_store._exchange(views, open_files=True)
    assert [(view / "closed").read_text() for view in views] == ["new", "new"]
    assert (views[0] / "open").read_text() == "half"
