"""manifests/brain_segmentation.yaml as a user runs it, and its Dice scores by a metric of its own.

The run takes a minute or two; it is the proof that the whole path learns a real task, so it has no shorter form.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.examples.shipped import run_manifest

TEST_SLICES = slice(148, 190)


@pytest.fixture(scope="module")
def run(needs: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Path:
    needs("torch", "nilearn")
    return run_manifest("brain_segmentation", tmp_path_factory.mktemp("brain"), timeout=600)


def volume() -> tuple[Any, Any]:
    """T1 and labels (1 grey, 2 white) as coronal slices x 160 x 160, not flipped, straight from nilearn."""
    from nilearn import datasets

    t1, grey, white = (
        np.moveaxis(np.asarray(image.dataobj, dtype=np.float32)[18:178, :, :160], 1, 0)
        for image in (
            datasets.load_mni152_template(resolution=1),
            datasets.load_mni152_gm_template(resolution=1),
            datasets.load_mni152_wm_template(resolution=1),
        )
    )
    other = 1 - grey - white
    labels = np.zeros(t1.shape, dtype=int)
    labels[(grey > other) & (grey >= white)] = 1
    labels[(white > other) & (white > grey)] = 2
    return t1, labels


def predicted(run: Path, images: Any) -> Any:
    """Labels that the network of best.ckpt gives to the slices, which it expects with their rows from top to bottom."""
    import torch

    from innereye_runtime.examples.brain_segmentation import UNet

    state = torch.load(run / "checkpoints" / "best.ckpt", map_location="cpu", weights_only=False)["state_dict"]
    network = UNet(channels=12, levels=3, classes=3)
    network.load_state_dict({name.removeprefix("network."): value for name, value in state.items()})
    network.eval()
    with torch.no_grad():
        rows_first = np.ascontiguousarray(images.transpose(0, 2, 1)[:, ::-1])
        batches = np.array_split(rows_first, 7)
        labels = np.concatenate([network(torch.from_numpy(batch[:, None])).argmax(1).numpy() for batch in batches])
    return labels[:, ::-1].transpose(0, 2, 1)


def test_dice_on_the_test_slices_by_another_metric(run: Path) -> None:
    t1, labels = volume()
    images, truth = t1[TEST_SLICES], labels[TEST_SLICES]
    prediction = predicted(run, images)
    reported = json.loads((run / "metrics.json").read_text())["test"]
    for label, name in ((1, "grey_matter"), (2, "white_matter")):
        overlap = np.count_nonzero((prediction == label) & (truth == label))
        score = 2 * overlap / (np.count_nonzero(prediction == label) + np.count_nonzero(truth == label))
        assert score >= 0.85, name
        assert reported[f"test/dice_{name}"] == pytest.approx(score, abs=1e-3)


def test_the_report_shows_three_test_slices_with_the_truth(run: Path) -> None:
    entries = json.loads((run / "figures" / "figures.json").read_text())["figures"]
    assert [entry["file"] for entry in entries] == [
        "worst-test-slice.png",
        "median-test-slice.png",
        "best-test-slice.png",
    ]
    html = (run / "report.html").read_text()
    assert html.count("data:image/png;base64,") == 3
    for entry in entries:
        with Image.open(run / "figures" / entry["file"]) as image:
            pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
        # The outlines of both tissues, in their own colours.
        for colour in ((230, 159, 0), (86, 180, 233)):
            assert (pixels == colour).all(axis=1).sum() > 1000


def test_blocks_are_apart_from_each_other(needs: Callable[..., None]) -> None:
    needs("torch")
    from innereye_runtime.examples.brain_segmentation import BLOCKS

    assert (BLOCKS["test"].start, BLOCKS["test"].stop) == (TEST_SLICES.start, TEST_SLICES.stop)
    blocks = sorted(BLOCKS.values(), key=lambda block: block.start)
    assert all(block.step == 1 for block in blocks)
    assert all(later.start - earlier.stop >= 8 for earlier, later in pairwise(blocks))


def test_dice_of_tissues_that_are_not_there_is_one(needs: Callable[..., None]) -> None:
    needs("torch")
    import torch

    from innereye_runtime.examples.brain_segmentation import dice

    labels = torch.tensor([[0, 1], [1, 0]])
    assert dice(torch.tensor([[1, 1], [0, 0]]), labels).tolist() == [0.5, 1]
    assert dice(labels, labels).tolist() == [1, 1]
