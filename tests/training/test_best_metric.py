"""Which checkpoint is the best, and how the choice is explained."""

from __future__ import annotations

import pytest

from innereye_runtime.training.checkpoints.best_metric import criterion, direction_of


@pytest.mark.parametrize(
    ("name", "direction"),
    [
        ("val/Dice", "max"), ("val_dice", "max"), ("valDice", "max"), ("val/dice_score", "max"), ("MeanIoU", "max"),
        ("val/meaniou", "max"), ("BinaryAUROC", "max"), ("val_acc", "max"), ("Accuracy/val", "max"),
        ("val/F1Score", "max"),
        ("f1", "max"), ("val_auc", "max"), ("R2Score", "max"), ("val/r2", "max"), ("val_acc/dataloader_idx_0", "max"),
        ("val_dice_loss", "min"), ("DiceLoss", "min"), ("val/Loss", "min"), ("hd95", "min"), ("val_rmse", "min"),
        ("val/mean_absolute_error", "min"), ("neg_dice", "min"), ("heatmap", "min"), ("val/thing", "min"),
        ("bias", "min"),
    ],
)  # fmt: skip
def test_a_name_has_a_direction(name: str, direction: str) -> None:
    assert direction_of(name)[0] == direction


@pytest.mark.parametrize(
    ("monitor", "mode", "given", "logged", "expected"),
    [
        ("", "auto", [], ["val_loss"], ("val_loss", "min")),
        ("", "max", [], ["val_loss"], ("val_loss", "max")),
        ("", "auto", [], ["val_loss/dataloader_idx_0"], ("val_loss/dataloader_idx_0", "min")),
        ("", "auto", [("score", "max")], ["val_loss", "score"], ("score", "max")),
        ("val_loss", "auto", [("score", "max")], ["val_loss", "score"], ("val_loss", "min")),
        ("val/dice", "auto", [], ["val/dice"], ("val/dice", "max")),
        ("val/dice", "min", [], ["val/dice"], ("val/dice", "min")),
        ("val/dice", "auto", [], ["val/dice/dataloader_idx_0"], ("val/dice/dataloader_idx_0", "max")),
        ("last", "auto", [("score", "max")], ["val_loss"], None),
        ("", "auto", [], ["train_loss"], None),
    ],
)  # fmt: skip
def test_what_decides(
    monitor: str, mode: str, given: list[tuple[str, str]], logged: list[str], expected: tuple[str, str] | None
) -> None:
    found = criterion(monitor, mode, given=given, logged=logged)
    assert (None if found is None else (found.monitor, found.mode)) == expected
    assert found is None or found.why
