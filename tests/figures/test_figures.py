"""`add_figure`, `add_overlay` and `add_curve`: what lies in the run folder afterwards, whatever happened in between."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from innereye_runtime.figures import figure_files
from innereye_runtime.figures.figure_files import add_curve, add_figure, add_overlay

GREY = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20


@pytest.fixture(autouse=True)
def run_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("RANK", "LOCAL_RANK", "NODE_RANK"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def index(folder: Path) -> list[dict[str, Any]]:
    content = json.loads((folder / "figures" / "figures.json").read_text())
    assert content["schema"] == 1
    entries: list[dict[str, Any]] = content["figures"]
    return entries


def restart() -> None:
    """A new process of the same run has given no names yet."""
    figure_files._names_given.clear()


def test_an_array_becomes_a_png_of_the_same_size_and_values(run_folder: Path) -> None:
    file = add_figure(GREY, "Grey ramp", "Twelve steps")
    assert file == run_folder / "figures" / "grey-ramp.png"
    with Image.open(file) as image:
        assert (np.asarray(image) == GREY).all()
    assert index(run_folder) == [
        {"name": "grey-ramp", "file": "grey-ramp.png", "title": "Grey ramp", "caption": "Twelve steps", "size": [4, 3]}
    ]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([[0.0, 0.5, 1.0]], [0, 128, 255]),
        ([[-2.0, 0.0, 2.0]], [0, 128, 255]),
        ([[np.nan, 0.0, np.inf]], [0, 0, 255]),
        ([[False, True]], [0, 255]),
        ([[0, 128, 255]], [0, 128, 255]),
        ([[0, 500, 1000]], [0, 128, 255]),
    ],
    ids=["unit floats", "other floats", "not finite", "booleans", "bytes", "other whole numbers"],
)
def test_the_range_of_an_array_follows_its_type(values: list[list[float]], expected: list[int]) -> None:
    with Image.open(add_figure(np.array(values), "a")) as image:
        assert np.asarray(image).ravel().tolist() == expected


def test_a_tensor_with_gradients_is_a_picture_too(needs: Callable[..., None]) -> None:
    needs("torch")
    import torch

    with Image.open(add_figure(torch.ones(1, 1, 2, 5, requires_grad=True), "tensor")) as image:
        assert image.size == (5, 2)


def test_a_matplotlib_figure_gives_the_same_file_twice(needs: Callable[..., None]) -> None:
    needs("matplotlib")
    from matplotlib.figure import Figure

    figure = Figure()
    figure.subplots().plot([0, 1], [1, 0])
    first, second = add_figure(figure, "plot"), add_figure(figure, "plot again")
    assert first.read_bytes() == second.read_bytes()
    assert b"Software" not in first.read_bytes()


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".svg"])
def test_a_file_is_copied(tmp_path: Path, suffix: str) -> None:
    source = tmp_path / f"picture{suffix.upper()}"
    if suffix == ".svg":
        source.write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    else:
        Image.fromarray(GREY).save(source)
    copied = add_figure(source, "From a file")
    assert copied.name == f"from-a-file{suffix}"
    assert copied.read_bytes() == source.read_bytes()


@pytest.mark.parametrize("name", ["notes.txt", "broken.png", "broken.svg"])
def test_a_file_that_is_no_picture_is_refused_and_leaves_nothing(run_folder: Path, name: str) -> None:
    (run_folder / name).write_text("hello")
    with pytest.raises(ValueError, match=name):
        add_figure(run_folder / name, "x")
    assert not (run_folder / "figures").exists()


def test_a_missing_file_and_a_strange_shape_are_refused() -> None:
    with pytest.raises(FileNotFoundError, match=r"absent\.png"):
        add_figure("absent.png", "x")
    with pytest.raises(ValueError, match=r"\(2, 3, 4, 5\)"):
        add_figure(np.zeros((2, 3, 4, 5)), "x")
    with pytest.raises(ValueError, match="finite"):
        add_figure(np.full((2, 2), np.nan), "x")


def test_names_are_distinct_even_where_titles_are_not(run_folder: Path) -> None:
    titles = ["ROC", "roc!", "ROC 2", "ROC", "***", "Größe/../µ", "x" * 200]
    names = [add_figure(GREY, title).stem for title in titles]
    assert names == ["roc", "roc-2", "roc-2-2", "roc-3", "figure", "groe", "x" * 60]
    assert [entry["title"] for entry in index(run_folder)] == titles


def test_a_restarted_run_replaces_its_figures_and_keeps_the_others(run_folder: Path) -> None:
    add_figure(GREY, "before training")
    add_figure(GREY, "result")
    add_figure(GREY, "result")
    restart()
    Image.fromarray(GREY + 1).save("new.jpg")
    add_figure(Path("new.jpg"), "result", "second attempt")
    assert [(entry["file"], entry["caption"]) for entry in index(run_folder)] == [
        ("before-training.png", ""),
        ("result.jpg", "second attempt"),
        ("result-2.png", ""),
    ]
    assert sorted(file.name for file in (run_folder / "figures").iterdir()) == [
        "before-training.png",
        "figures.json",
        "result-2.png",
        "result.jpg",
    ]


def test_an_index_that_cannot_be_read_is_begun_anew(run_folder: Path) -> None:
    (run_folder / "figures").mkdir()
    (run_folder / "figures" / "figures.json").write_text("{")
    add_figure(GREY, "a")
    assert len(index(run_folder)) == 1


@pytest.mark.parametrize(
    ("variables", "writes"),
    [
        ({"RANK": "0", "LOCAL_RANK": "0"}, True),
        ({"RANK": "1", "LOCAL_RANK": "0"}, False),
        ({"LOCAL_RANK": "1"}, False),
        ({"NODE_RANK": "1", "LOCAL_RANK": "0"}, False),
    ],
)
def test_only_the_first_rank_writes(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], writes: bool
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert add_figure(GREY, "a") == run_folder / "figures" / "a.png"
    assert (run_folder / "figures").exists() is writes


def _add_ten(number: int) -> None:
    for count in range(10):
        add_figure(GREY, f"process {number} figure {count}")


def test_processes_that_add_at_once_lose_nothing(run_folder: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_add_ten, args=(number,)) for number in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert len(index(run_folder)) == 30


def test_a_kill_in_the_middle_leaves_a_whole_index_and_the_next_start_cleans_up(run_folder: Path) -> None:
    add_figure(GREY, "whole")
    script = (
        "import numpy, os, signal\n"
        "from innereye_runtime.figures import figure_files as figures\n"
        "written = os.fsync\n"
        "def kill_at_the_index(descriptor):\n"
        "    written(descriptor)\n"
        "    if 'json' in os.readlink(f'/proc/self/fd/{descriptor}'): os.kill(os.getpid(), signal.SIGKILL)\n"
        "os.fsync = kill_at_the_index\n"
        "figures.add_figure(numpy.zeros((2, 2)), 'killed')\n"
    )
    killed = subprocess.run([sys.executable, "-c", script], cwd=run_folder, env=os.environ.copy(), timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert [entry["title"] for entry in index(run_folder)] == ["whole"]
    assert (run_folder / "figures" / ".figures.json.tmp").exists()
    (run_folder / "figures" / ".half.png.tmp").write_bytes(b"half")
    restart()
    add_figure(GREY, "killed")
    assert [entry["title"] for entry in index(run_folder)] == ["whole", "killed"]
    assert sorted(file.name for file in (run_folder / "figures").iterdir()) == [
        "figures.json",
        "killed.png",
        "whole.png",
    ]


def test_a_reader_of_the_index_has_the_old_or_the_new_one(run_folder: Path) -> None:
    add_figure(GREY, "first")
    old = (run_folder / "figures" / "figures.json").read_text()
    with (run_folder / "figures" / "figures.json").open() as reader:
        add_figure(GREY, "second")
        assert reader.read() == old
    assert len(index(run_folder)) == 2


def test_a_curve_keeps_its_points_and_is_a_drawing_of_its_own(run_folder: Path) -> None:
    file = add_curve(
        [0, 0.5, np.nan, 1], [0, 0.8, 0.9, 1], "ROC", x_label="<fpr>", y_label="tpr", guide=((0, 1), (0, 1))
    )
    assert index(run_folder)[0]["curve"] == {
        "x_label": "<fpr>",
        "y_label": "tpr",
        "points": [[0, 0], [0.5, 0.8], [1, 1]],
        "guide": [[0, 0], [1, 1]],
    }
    text = file.read_text()
    assert text.startswith("<svg")
    assert "prefers-color-scheme: dark" in text
    assert "&lt;fpr&gt;" in text


def test_a_curve_needs_points() -> None:
    with pytest.raises(ValueError, match="3 and 2"):
        add_curve([1, 2, 3], [1, 2], "a")
    with pytest.raises(ValueError, match="no finite point"):
        add_curve([np.nan], [1], "a")


def test_an_overlay_is_in_the_index_with_its_caption(run_folder: Path) -> None:
    add_overlay(GREY, GREY > 100, "Lesion", "Slice 3", names=["lesion"])
    (entry,) = index(run_folder)
    assert (entry["file"], entry["caption"]) == ("lesion.png", "Slice 3")
