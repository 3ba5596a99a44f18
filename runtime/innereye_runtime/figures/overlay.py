"""Arrays as pictures: grey and RGB images, and label maps over them in colours that colour-blind readers tell apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray
    from PIL.Image import Image

PALETTE = (
    (230, 159, 0),  # orange
    (86, 180, 233),  # sky blue
    (0, 158, 115),  # bluish green
    (240, 228, 66),  # yellow
    (204, 121, 167),  # reddish purple
    (213, 94, 0),  # vermilion
    (0, 114, 178),  # blue
)
"""In the order in which they stand out on grey. Source: Okabe and Ito, Color Universal Design
(https://jfly.uni-koeln.de/color/)."""

_WIDTH = 640
"""Pixels that a small image is enlarged to, so that outlines and legend are sharp."""
_OPACITY = 0.45
_STRIP = (24, 24, 27)
_TEXT = (244, 244, 245)


def as_array(values: Any) -> NDArray[Any]:
    """`values` as a numpy array; a torch tensor is taken from its graph and its device first."""
    import numpy as np

    if hasattr(values, "detach"):
        values = values.detach().cpu()
    return np.asarray(values)


def to_image(values: ArrayLike) -> Image:
    """An array H x W (grey) or H x W x 3 (RGB) as a picture of the same size, H and W being rows and columns.

    Whole numbers in 0..255, floats in 0..1 and booleans keep their meaning; all else is stretched between its extremes.

    Raises:
        ValueError: the array has another shape, or no finite value.
    """
    from PIL import Image as Pictures

    array = _squeezed(as_array(values))
    if not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)) or 0 in array.shape:
        raise ValueError(f"a picture is an array H x W or H x W x 3, not one of shape {array.shape}")
    return Pictures.fromarray(_as_bytes(array))


def overlay(
    image: ArrayLike, labels: ArrayLike, reference: ArrayLike | None, names: Sequence[str] | Mapping[int, str]
) -> Image:
    """`image` under the areas of `labels` and the outlines of `reference` (without one: of `labels`), with a legend.

    Arguments and errors: see `figures.add_overlay`.
    """
    import numpy as np
    from PIL import Image as Pictures

    grey = _squeezed(as_array(image)).astype(float)
    if grey.ndim != 2 or 0 in grey.shape:
        raise ValueError(f"the image of an overlay is an array H x W, not one of shape {grey.shape}")
    areas = label_map(labels)
    outlines = areas if reference is None else label_map(reference)
    for what, given in (("labels", areas), ("reference", outlines)):
        if given.shape != grey.shape:
            raise ValueError(
                f"the {what} are {given.shape[0]} x {given.shape[1]}, the image {grey.shape[0]} x {grey.shape[1]}"
            )

    factor = max(1, round(_WIDTH / grey.shape[1]))
    finite = grey[np.isfinite(grey)]
    low, high = np.percentile(finite, (0.5, 99.5)) if finite.size else (0.0, 1.0)
    base = Pictures.fromarray(_stretched(grey, float(low), float(high)))
    size = (grey.shape[1] * factor, grey.shape[0] * factor)
    canvas = np.asarray(base.resize(size, Pictures.Resampling.BICUBIC).convert("RGB")).astype(float)
    areas, outlines = (each.repeat(factor, 0).repeat(factor, 1) for each in (areas, outlines))
    present = sorted((set(np.unique(areas).tolist()) | set(np.unique(outlines).tolist())) - {0})
    edge = _edge(outlines, thickness=max(2, factor // 3))
    for label in present:
        colour = np.array(_colour(label), dtype=float)
        area = areas == label
        canvas[area] = (1 - _OPACITY) * canvas[area] + _OPACITY * colour
    for label in present:
        canvas[edge & (outlines == label)] = _colour(label)
    drawn = Pictures.fromarray(canvas.round().astype(np.uint8))
    entries = [(_colour(label), _name(label, names)) for label in present]
    return _with_legend(drawn, entries, note="" if reference is None else "area: prediction   line: reference")


def label_map(labels: ArrayLike) -> NDArray[np.intp]:
    """Labels as H x W whole numbers, from whole numbers, booleans or probabilities (see `figures.add_overlay`)."""
    import numpy as np

    array = as_array(labels)
    if np.issubdtype(array.dtype, np.floating):
        if array.ndim == 3:
            # A tie goes to the lower label; 0.5 itself is not enough, as with a single channel.
            return np.where(array.max(axis=0) > 0.5, array.argmax(axis=0) + 1, 0).astype(np.intp)
        array = _squeezed(array)
        is_label_map = bool((array == array.round()).all())
        array = array if is_label_map else array > 0.5
    array = _squeezed(array)
    if array.ndim != 2:
        raise ValueError(f"labels are an array H x W, or C x H x W of probabilities, not one of shape {array.shape}")
    if array.size and array.min() < 0:
        raise ValueError(f"labels are 0 for background and 1, 2, ... beyond, not {array.min()}")
    return array.astype(np.intp)


def _squeezed(array: NDArray[Any]) -> NDArray[Any]:
    """Without leading dimensions of length 1, as batches and channels of one leave them."""
    while array.ndim > 2 and array.shape[0] == 1:
        array = array[0]
    return array


def _as_bytes(array: NDArray[Any]) -> NDArray[np.uint8]:
    import numpy as np

    if array.dtype == np.uint8:
        return array
    if array.dtype == bool:
        return _stretched(array.astype(float), 0, 1)
    values = array.astype(float)
    finite = values[np.isfinite(values)]
    if not finite.size:
        raise ValueError("a picture needs at least one finite value")
    low, high = float(finite.min()), float(finite.max())
    top = 1 if np.issubdtype(array.dtype, np.floating) else 255
    return _stretched(values, 0, top) if low >= 0 and high <= top else _stretched(values, low, high)


def _stretched(values: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """0 at `low` and below, and where there is no number; 255 at `high` and above."""
    import numpy as np

    scaled = (np.nan_to_num(values, nan=low, posinf=high, neginf=low) - low) / ((high - low) or 1)
    result: NDArray[np.uint8] = (scaled.clip(0, 1) * 255).round().astype(np.uint8)
    return result


def _edge(labels: NDArray[np.intp], thickness: int) -> NDArray[np.bool_]:
    """True within `thickness` pixels of another label, on the inner side of the border."""
    import numpy as np

    edge = np.zeros(labels.shape, dtype=bool)
    for step in range(1, thickness + 1):
        for axis in (0, 1):
            near, far = [slice(None)] * 2, [slice(None)] * 2
            near[axis], far[axis] = slice(None, -step), slice(step, None)
            differs = labels[tuple(near)] != labels[tuple(far)]
            edge[tuple(near)] |= differs
            edge[tuple(far)] |= differs
    return edge


def _colour(label: int) -> tuple[int, int, int]:
    return PALETTE[(label - 1) % len(PALETTE)]


def _name(label: int, names: Sequence[str] | Mapping[int, str]) -> str:
    if isinstance(names, Mapping):
        return names.get(label, str(label))
    return names[label - 1] if label <= len(names) else str(label)


def _with_legend(drawn: Image, entries: Sequence[tuple[tuple[int, int, int], str]], note: str) -> Image:
    """The picture with a strip below it, as tall as the legend needs: swatches with names, then the note."""
    from PIL import Image as Pictures
    from PIL import ImageDraw, ImageFont

    if not entries:
        return drawn
    # Readable still where a phone shows the picture at half its size.
    text_size = max(12, drawn.width // 28)
    font = ImageFont.load_default(size=text_size)
    swatch, gap = text_size * 3 // 4, text_size // 2
    places: list[tuple[int, int, tuple[int, int, int] | None, str]] = []
    x, row = gap, 0
    for colour, text in [*entries, *([(None, note)] if note else [])]:
        width = round(font.getlength(text)) + gap * 2 + (swatch + gap if colour else 0)
        if x > gap and x + width > drawn.width:
            x, row = gap, row + 1
        places.append((x, row, colour, text))
        x += width
    line = text_size * 3 // 2
    result = Pictures.new("RGB", (drawn.width, drawn.height + gap + (row + 1) * line), _STRIP)
    result.paste(drawn, (0, 0))
    pen = ImageDraw.Draw(result)
    for left, row, colour, text in places:
        middle = drawn.height + gap // 2 + row * line + line // 2
        if colour:
            pen.rectangle((left, middle - swatch // 2, left + swatch, middle + swatch // 2), fill=colour)
            left += swatch + gap
        pen.text((left, middle), text, font=font, fill=_TEXT, anchor="lm")
    return result
