"""Which checkpoint is the best: the metric that decides, and whether a higher or a lower value is better."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from innereye_runtime.training.checkpoints.checkpoint_files import Progress

log = logging.getLogger("innereye_runtime")

MONITORS: Final = ("val/Loss", "val/loss", "val_loss")
LAST: Final = "last"
AUTO: Final = "auto"
_FIRST_LOADER: Final = "/dataloader_idx_0"
"""How Lightning ends the name of a metric of the first of several validation loaders."""

_HIGHER_WORDS: Final = """
acc accuracy ap auc auprc auroc bleu cindex concordance correlation dice dsc f f1 fbeta fscore iou jaccard kappa map mcc
miou ncc npv nsd pearson ppv precision psnr r2 recall roc rouge sensitivity spearman specificity ssim tnr top1 top5 tpr
"""
_LOWER_WORDS: Final = """
asd assd bce brier ce cer cost crossentropy deviation distance divergence ece energy entropy err error fid fnr fpr
hausdorff hd kl loss mae mape minus msd mse neg negative nll nrmse perplexity residual rmse wer
"""
_HIGHER: Final = frozenset(_HIGHER_WORDS.split())
_LOWER: Final = frozenset(_LOWER_WORDS.split())
_ENDINGS: Final = ("accuracy", "auc", "auroc", "dice", "iou", "jaccard", "error", "loss", "mae", "mse")
"""Of words that are written in one with others, as in `meaniou`."""
_WORDS: Final = re.compile(r"[A-Z]+[0-9]*(?![a-z])|[A-Z]?[a-z]+[0-9]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """The best checkpoint is the one with the lowest (`min`) or highest (`max`) value of `monitor`."""

    monitor: str
    mode: str
    why: str


def criterion(
    monitor: str, mode: str, *, given: Sequence[tuple[str, str]] = (), logged: Collection[str]
) -> Criterion | None:
    """What decides; None where the last epoch is the best, or nothing that was logged so far can decide.

    `monitor`, `mode`: the parameters checkpoint_monitor and checkpoint_mode. `given`: metric and mode of each of the
    user's own ModelCheckpoints that has a metric. `logged`: names.
    """
    if monitor == LAST:
        return None
    if monitor:
        return _directed(_logged_name(monitor, logged) or monitor, mode, "checkpoint_monitor")
    if given:
        name, own_mode = given[0]
        name = _logged_name(name, logged) or name
        if mode == AUTO:
            return Criterion(monitor=name, mode=own_mode, why="monitor and mode of the container's own ModelCheckpoint")
        return _directed(name, mode, "monitor of the container's own ModelCheckpoint")
    names = (*MONITORS, *(name + _FIRST_LOADER for name in MONITORS))
    found = next((name for name in names if name in logged), None)
    return None if found is None else _directed(found, mode, "the default of checkpoint_monitor")


def _logged_name(name: str, logged: Collection[str]) -> str | None:
    return next((each for each in (name, name + _FIRST_LOADER) if each in logged), None)


def _directed(monitor: str, mode: str, source: str) -> Criterion:
    if mode != AUTO:
        return Criterion(monitor=monitor, mode=mode, why=f"{source}; checkpoint_mode is {mode}")
    direction, why = direction_of(monitor)
    return Criterion(monitor=monitor, mode=direction, why=f"{source}; checkpoint_mode is auto: {why}")


def direction_of(name: str) -> tuple[str, str]:
    """`min` or `max` for a metric of that name, and why."""
    words = list(_words(name.removesuffix(_FIRST_LOADER)))
    lower = next((word for word in words if word in _LOWER), None)
    if lower is not None:  # also of a Dice loss
        return "min", f"for '{lower}', lower is better"
    higher = next((word for word in words if word in _HIGHER), None)
    if higher is not None:
        return "max", f"for '{higher}', higher is better"
    return "min", "the name says nothing, so lower is taken as better"


def _words(name: str) -> list[str]:
    found: list[str] = []
    for part in re.split(r"[^A-Za-z0-9]+", name):
        whole = part.lower()
        words = [whole, *(word.lower() for word in _WORDS.findall(part))]
        found += [*words, *(word.rstrip("0123456789") for word in words)]
        found += [ending for ending in _ENDINGS if whole.endswith(ending)]
    return found


def improves(
    progress: Progress,
    metrics: Mapping[str, float],
    watched: tuple[str, str],
    *,
    given: Sequence[tuple[str, str]],
    tells: bool,
) -> bool:
    """Whether these metrics are the best so far, by the metric that is watched: `progress` names it from the first time
    on that it is there. `watched`, `given`: as of `criterion`. `tells`: this process logs which it is."""
    if progress.best_value is None:
        found = criterion(*watched, given=given, logged=metrics)
        if found is None:
            progress.monitor = LAST if watched[0] == LAST else ""
            return False
        progress.monitor, progress.mode, progress.criterion = found.monitor, found.mode, found.why
    value, best = metrics.get(progress.monitor), progress.best_value
    if value is None or not math.isfinite(value):
        return False
    if best is None and tells:
        extreme = "lowest" if progress.mode == "min" else "highest"
        log.info("best checkpoint: the %s %s (%s)", extreme, progress.monitor, progress.criterion)
    return best is None or (value < best if progress.mode == "min" else value > best)
