"""Pictures for the report, from any code of a container: `add_figure`, `add_overlay`, `add_curve`.

    from innereye_runtime import add_figure, add_overlay, add_curve

    add_figure(figure, "Calibration")                                   # matplotlib, array, png, jpg or svg file
    add_overlay(slice_, labels, "Slice 40", names=["grey", "white"])    # labels over a grey image, with a legend
    add_curve(fpr, tpr, "ROC", x_label="false positive rate")           # a line, drawn by the report itself

They write into `figures/` of the working directory, which is the run folder from `setup` to the end. `figures.json`
there tells the report what to show, in the order of the calls.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import shutil
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from innereye_runtime.figures import chart

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

FOLDER = "figures"
INDEX = "figures.json"
SUFFIXES = (".png", ".jpg", ".jpeg", ".svg")

_names_given: dict[Path, set[str]] = {}
"""By figures folder: the names that this process has given. A restarted run begins anew, and so replaces its own."""


def add_figure(figure: Figure | ArrayLike | Path | str, title: str, caption: str = "") -> Path:
    """The file of a picture that is now part of the report.

    A second figure of the same title is kept beside the first. Where a run is started again, its figures take the place
    of those that the earlier attempt left under the same titles. In distributed training only the first rank writes.

    Args:
        figure: A matplotlib figure; an array H x W (grey) or H x W x 3 (RGB), where floats outside 0..1 are stretched
            between their extremes; or the path of a png, jpg or svg file, which is copied.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the array has another shape, or the file is no picture of these kinds.
    """
    if isinstance(figure, str | Path):
        source = Path(figure)
        _check_picture(source)
        return store(title, caption, source.suffix.lower(), lambda file: _copy(source, file))
    if hasattr(figure, "savefig"):
        # Without the metadata, which names matplotlib's version, equal figures are equal files.
        options: dict[str, Any] = {"format": "png", "dpi": 150, "bbox_inches": "tight", "metadata": {"Software": None}}
        return store(title, caption, ".png", lambda file: figure.savefig(file, **options))
    from innereye_runtime.figures.overlay import to_image

    image = to_image(figure)
    return store(title, caption, ".png", lambda file: image.save(file, format="PNG"), size=image.size)


def add_overlay(
    image: ArrayLike,
    labels: ArrayLike,
    title: str,
    caption: str = "",
    *,
    names: Sequence[str] | Mapping[int, str] = (),
    reference: ArrayLike | None = None,
) -> Path:
    """The file of a grey image under coloured labels, with a legend, that is now part of the report.

    Labels are semi-transparent areas with an outline. With a `reference` (the ground truth, where `labels` is a
    prediction) the outline is the reference's, so that area beyond a line is a false positive, and an empty outline a
    false negative. Colour-blind readers can tell the colours apart, too.

    Args:
        image: H x W, grey, of any type; stretched between its 0.5th and 99.5th percentile.
        labels: H x W whole numbers, 0 for background; or H x W booleans; or probabilities, H x W or C x H x W with a
            channel for each label and none for the background, which is where no channel exceeds 0.5.
        names: What the labels 1, 2, ... are called, in order, or by number.
        reference: Like `labels`.

    Raises:
        ValueError: shapes that don't fit each other, or labels below zero.
    """
    from innereye_runtime.figures.overlay import overlay

    drawn = overlay(image, labels, reference, names)
    return store(title, caption, ".png", lambda file: drawn.save(file, format="PNG"), size=drawn.size)


def add_curve(
    x: ArrayLike,
    y: ArrayLike,
    title: str,
    caption: str = "",
    *,
    x_label: str = "",
    y_label: str = "",
    guide: tuple[Sequence[float], Sequence[float]] | None = None,
) -> Path:
    """The svg file of a line through the points (x, y) that is now part of the report.

    Args:
        x: One dimension; points that are not finite are left out.
        y: As long as x.
        guide: A second, dashed line to compare with, such as chance in a ROC curve: `((0, 1), (0, 1))`.

    Raises:
        ValueError: the lengths differ, or no point is finite.
    """
    points = chart.downsample(_points(x, y))
    if not points:
        raise ValueError(f"the curve {title!r} has no finite point")
    curve = {"x_label": x_label, "y_label": y_label, "points": points, "guide": _points(*guide) if guide else []}
    drawing = chart.curve(curve, title=title)
    text = chart.standalone(drawing)
    return store(title, caption, ".svg", lambda file: write_text(file, text), curve=curve)


def store(title: str, caption: str, suffix: str, write: Callable[[Path], object], **details: Any) -> Path:
    """Writes a picture, then the index. Each is replaced in one step: a kill in between leaves the index as it was."""
    folder = Path.cwd() / FOLDER
    given = _names_given.setdefault(folder, set())
    if not _is_first_rank():
        return folder / f"{_new_name(title, given)}{suffix}"
    folder.mkdir(exist_ok=True)
    with _locked(folder):
        if not given:
            for left_over in folder.glob(".*.tmp"):
                left_over.unlink(missing_ok=True)
        name = _new_name(title, given)
        file = folder / f"{name}{suffix}"
        _replace(file, write)
        index = read_index(folder)
        entry = {"name": name, "file": file.name, "title": title, "caption": caption, **details}
        position = next((i for i, earlier in enumerate(index) if earlier.get("name") == name), len(index))
        replaced = index[position : position + 1]
        index[position : position + 1] = [entry]
        text = json.dumps({"schema": 1, "figures": index}, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        _replace(folder / INDEX, lambda temporary: write_text(temporary, text))
        for earlier in replaced:
            if earlier["file"] != file.name:
                (folder / Path(earlier["file"]).name).unlink(missing_ok=True)
    return file


def read_index(folder: Path) -> list[dict[str, Any]]:
    """The entries of figures.json that name a file; none where it is missing or can't be read."""
    try:
        entries = json.loads((folder / INDEX).read_text(encoding="utf-8"))["figures"]
        return [entry for entry in entries if isinstance(entry, dict) and isinstance(entry.get("file"), str)]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _new_name(title: str, given: set[str]) -> str:
    """A file name made of the title, the same in every run that adds the same figures in the same order."""
    ascii_title = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    stem = re.sub(r"[^a-z0-9]+", "-", ascii_title).strip("-")[:60].rstrip("-") or "figure"
    name, count = stem, 1
    while name in given:
        count += 1
        name = f"{stem}-{count}"
    given.add(name)
    return name


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keeps other processes and threads from the folder. The kernel drops the lock of a process that is killed."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        # Some network and blob mounts have no locks; there the first rank is the only writer all the same.
        with contextlib.suppress(OSError, ImportError):
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _is_first_rank() -> bool:
    """False in the further processes of distributed training, which torchrun and Lightning mark by these variables."""
    environment = os.environ
    if "RANK" in environment:
        return environment["RANK"] == "0"
    return all(environment.get(name, "0") == "0" for name in ("NODE_RANK", "LOCAL_RANK"))


def _replace(file: Path, write: Callable[[Path], object]) -> None:
    temporary = file.with_name(f".{file.name}.tmp")
    try:
        write(temporary)
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


def _check_picture(source: Path) -> None:
    if source.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{source} is not an image for the report: its name ends in none of {', '.join(SUFFIXES)}")
    if source.suffix.lower() == ".svg":
        if b"<svg" not in source.read_bytes():
            raise ValueError(f"{source} is not an SVG file")
        return
    from PIL import Image

    try:
        with Image.open(source) as image:
            image.verify()
    except FileNotFoundError:
        raise
    except (OSError, SyntaxError) as error:
        raise ValueError(f"{source} can't be read as a picture: {error}") from error


def _copy(source: Path, file: Path) -> None:
    shutil.copyfile(source, file)


def write_text(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")


def _points(x: ArrayLike, y: ArrayLike) -> list[tuple[float, float]]:
    from innereye_runtime.figures.overlay import as_array

    xs, ys = (as_array(values).ravel().tolist() for values in (x, y))
    if len(xs) != len(ys):
        raise ValueError(f"a curve needs as many values of x as of y, not {len(xs)} and {len(ys)}")
    pairs = ((float(a), float(b)) for a, b in zip(xs, ys, strict=True))
    return [(a, b) for a, b in pairs if math.isfinite(a) and math.isfinite(b)]
