"""Errors that old code meets on today's libraries come with what to do about them."""

from __future__ import annotations

import errno
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest

from innereye_runtime.training.lifecycle.outcome import outcome_of


def old_name() -> Any:
    exec("from pytorch_lightning.plugins import DDP2Plugin", {})


def old_accuracy() -> Any:
    import torchmetrics

    return torchmetrics.Accuracy()  # type: ignore[call-arg]


def written_dataset() -> Any:
    raise OSError(errno.EROFS, "Read-only file system", "/data/cache.npy")


@pytest.mark.parametrize(
    ("attempt", "words"),
    [
        (lambda: import_module("health_ml.networks.layers"), "torchvision, timm or MONAI"),
        (lambda: import_module("InnerEye.ML.config"), "segmentation models are out of scope"),
        (lambda: import_module("InnerEye.ML.SSL.ssl"), "self-supervised models are out of scope"),
        (lambda: import_module("InnerEye.ML.other"), "InnerEye.ML.lightning_container"),
        (written_dataset, "the working directory, which is the run folder"),
        (lambda: import_module("pytorch_lightning.utilities.xla_device"), "migration_guide"),
        (old_name, "migration_guide"),
        (old_accuracy, "task='binary'"),
    ],
)
def test_the_error_of_an_old_idiom_has_its_remedy(attempt: Callable[[], Any], words: str) -> None:
    with pytest.raises(Exception) as error:
        attempt()
    assert words in outcome_of(error.value).hint


def test_any_other_error_of_the_users_has_none() -> None:
    for error in (KeyError("No module named 'mine'"), TypeError("no"), RuntimeError("no")):
        assert outcome_of(error).hint == ""
