"""Training from a checkpoint, as Lightning loads it: after `setup` and `configure_model`, by `strict_loading`."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytorch_lightning as pl
from pytorch_lightning.callbacks import BatchSizeFinder, Callback, LearningRateFinder, Timer

from innereye_runtime.errors import UsageError
from innereye_runtime.run.paths import RunPaths
from innereye_runtime.run.record import Attempt
from innereye_runtime.training.checkpoints import extra_state, plain_state
from innereye_runtime.training.checkpoints.checkpoint_files import ResumePoint, look, other_number
from innereye_runtime.training.checkpoints.weights import read_weights
from innereye_runtime.training.lifecycle.new_attempt import NewAttemptError

log = logging.getLogger("innereye_runtime")

TUNING_CALLBACKS = (BatchSizeFinder, LearningRateFinder)


def fit(
    trainer: pl.Trainer, model: pl.LightningModule, data: pl.LightningDataModule | None, *, checkpoint: Path | None
) -> None:
    """Trains. Lightning loads the whole state of `checkpoint`, when it has set the model up and configured it.

    Raises:
        UsageError: the model has other layers by then than the checkpoint.
    """
    try:
        trainer.fit(model, datamodule=data, ckpt_path=checkpoint, weights_only=False)
    except RuntimeError as error:
        text = str(error)
        if checkpoint is None or not text.startswith("Error(s) in loading state_dict"):
            raise
        raise UsageError(
            f"{checkpoint} can't be resumed from, as the model has other layers when it is loaded.\n{text}",
            hint="make all layers in __init__, setup or configure_model: what a callback adds in on_fit_start comes "
            "too late for Lightning to load",
        ) from error


def restore_finished_run(
    resumption: ResumePoint, trainer: pl.Trainer, model: pl.LightningModule, data: pl.LightningDataModule | None
) -> None:
    """Makes model, data, callbacks and trainer what they were when training came to its end, by Lightning's own way to
    resume a training that has nothing left to do: evaluation follows from there."""
    callbacks: list[Callback] = vars(trainer)["callbacks"]
    callbacks[:] = [each for each in callbacks if not isinstance(each, TUNING_CALLBACKS)]
    vars(trainer)["num_sanity_val_steps"] = 0
    fit(trainer, model, data, checkpoint=resumption.path)
    extra_state.restore(resumption.progress.carried, {"data": data, "model": model})
    plain_state.restore(resumption.progress.plain, trainer)


class GivenWeights(Callback):
    """Starts training from the weights of a checkpoint that the user names, when the model is set up and configured."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        trainer.strategy.load_model_state_dict(read_weights(self._path), strict=pl_module.strict_loading)


def note_differences(trainer: pl.Trainer, attempt: Attempt, *, resumed: bool) -> None:
    """Records what makes a run differ from one that was never broken, whatever its checkpoints hold."""
    callbacks: list[Callback] = vars(trainer)["callbacks"]
    by_clock = any(isinstance(each, Timer) and each.time_remaining() is not None for each in callbacks)
    clock = ["training ends by the clock (max_time): no two runs end with the same step, broken or not"] * by_clock
    if not resumed:
        attempt.notes += clock
        return
    tuners = sorted({type(each).__name__ for each in callbacks if isinstance(each, TUNING_CALLBACKS)})
    reasons = [f"{name} runs its search again on resume, and may pick a different value" for name in tuners]
    reasons += clock
    for reason in reasons:
        log.warning("warning: %s", reason)
    if reasons:
        attempt.resume_exact, attempt.because = False, [*attempt.because, *reasons]


def _note_users_own(paths: RunPaths, newest: ResumePoint | None) -> list[str]:
    """A sentence on the newest checkpoint that the user's code wrote, where it is newer than `newest`."""
    found = [*paths.root.glob("*.ckpt"), *paths.root.glob("*/*.ckpt"), *paths.checkpoints.glob("*/*.ckpt")]
    times = {each: each.stat().st_mtime_ns for each in found if not each.name.startswith(".")}
    others = [each for each in times if each not in paths.resumable and _is_current(each)]
    own = max(others, key=times.__getitem__, default=None)
    if own is None or (newest is not None and (newest.progress.finished or times[own] <= times[newest.path])):
        return []
    than = f"newer than {newest.path.relative_to(paths.root)}" if newest else "the only checkpoint"
    return [
        f"{own.relative_to(paths.root)}, which the user's code saved, is {than}, and is not resumed from: it was "
        "written before its batch or epoch was over, and what follows would not be the same"
    ]


def _is_current(checkpoint: Path) -> bool:
    """False for one that `resume --restart` has set aside."""
    return not re.fullmatch(r"aside(-\d+)?", checkpoint.parent.name)


def find_resume_point(paths: RunPaths, attempt: Attempt, *, settling: bool, processes: int = 1) -> ResumePoint | None:
    """The checkpoint of an earlier attempt that this one continues from; None where it is the start. `processes`: as
    many were started; with one, Lightning may start more of them.

    What is found and not as it should be is logged, and kept in the notes of `attempt`.

    Raises:
        UsageError: there are checkpoints, and none can be read.
    """
    found = look(paths, settling=settling, processes=processes if processes > 1 else None)
    notes = [*found.notes, *_note_users_own(paths, found.newest), *filter(None, [found.passed_over])]
    for note in notes:
        log.warning("warning: %s", note)
    attempt.notes += notes
    if found.newest is None:
        if found.notes:
            raise UsageError(
                "this run has checkpoints, and none can be read:\n" + "\n".join(found.notes),
                hint=f"innereye-run resume --restart {paths.root} sets them aside and trains from the start",
            )
        return None
    resumed = found.newest
    attempt.resumed_from, attempt.epoch = str(resumed.path.relative_to(paths.root)), resumed.progress.epochs
    batches = resumed.progress.batches
    place = f"in epoch {attempt.epoch + 1}, batch {batches + 1}" if batches else f"after epoch {attempt.epoch}"
    log.info("resuming from %s %s", attempt.resumed_from, place)
    attempt.resume_exact = not resumed.progress.lost
    if resumed.progress.lost:
        attempt.because = [plain_state.warning(resumed.progress.lost)]
        log.warning("warning: %s", attempt.because[0])
    if resumed.progress.inside:
        note = (
            f"{attempt.resumed_from} was saved inside an epoch, after step {resumed.global_step}: the data loader "
            "starts again, so that the result differs from that of an unbroken run"
        )
        log.warning("warning: %s", note)
        attempt.notes.append(note)
        attempt.resume_exact, attempt.because = False, [*attempt.because, note]
    return resumed


def require_continuable(resumed: ResumePoint | None, processes: int, reason: str) -> None:
    """Raises `NewAttemptError`, and takes the checkpoint of an open epoch away, where as many processes can't continue
    in that epoch, or can't for a `reason`."""
    if resumed is None or (resumed.progress.processes == processes and not reason):
        return
    resumed.path.unlink(missing_ok=True)
    why = f"can't be continued from, as {reason}: its epoch is begun again" if reason else ""
    raise NewAttemptError(
        f"{resumed.path.name} {why or 'was saved ' + other_number(resumed.progress.processes, processes)}"
    )
