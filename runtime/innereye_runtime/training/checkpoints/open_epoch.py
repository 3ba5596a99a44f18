"""Checkpoints in the middle of an epoch: by time, before a validation, when the user's callback saves one, and when the
process is asked to end.

`Recovery` saves between epochs. Here the epoch that is under way is saved too, in a file of its own, partial.ckpt: it
is there until last.ckpt has the epoch. It holds what a process needs to be where this one is: Lightning's own state,
what `Recovery` saves, the global generators, accumulated gradients, the epoch's metrics so far; and how everything was
when the epoch began. A process that resumes begins the epoch as it was begun, calls the hooks of its start, draws the
same batches once more without training on them (`DrawnBatches`), and then puts the state in place. What can't come to
the same so is not saved, with the reason in the log: such an epoch is begun again.

Several processes agree after each batch whether they save (`World`), and the file has what is of each (`rank_parts`).
"""

from __future__ import annotations

import errno
import logging
import time
from copy import deepcopy
from typing import Any, Final

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loops.loop import _Loop
from pytorch_lightning.trainer.states import TrainerFn

from innereye_runtime.training.checkpoints import ddp_state, extra_state, in_flight, plain_state, rank_parts
from innereye_runtime.training.checkpoints.checkpoint_files import WholeFiles
from innereye_runtime.training.checkpoints.checkpointing import Recovery
from innereye_runtime.training.checkpoints.drawn_batches import DrawnBatches
from innereye_runtime.training.checkpoints.loop_hooks import around_batches, call_after, rule_signals
from innereye_runtime.training.checkpoints.resuming import require_continuable
from innereye_runtime.training.checkpoints.untouched import Untouched
from innereye_runtime.training.lifecycle import signals
from innereye_runtime.training.lifecycle.new_attempt import NewAttemptError
from innereye_runtime.training.lightning.metrics import MetricsTable, logged_metrics

log = logging.getLogger("innereye_runtime")

_WORTH_SECONDS: Final = 30.0
"""Of training, before a validation that may take long."""
_SHARE: Final = 200
"""Saving takes at most one part in as many of the time."""
_OWN_SHARE: Final = 20
"""And where the user's own callback saves too, so that as little is lost as that one asks for."""


class OpenEpoch(Callback):
    """Saves partial.ckpt, and continues from one. It must be the callback after `Recovery`.

    It looks after each batch whether the process was asked to end, in place of `StopAtBatch`. With several processes
    that DDP does not train it does nothing, and a broken epoch is begun again.
    """

    looks_for_stop = False

    def __init__(self, recovery: Recovery, *, every: float) -> None:
        """`every`: seconds between two checkpoints."""
        self._recovery = recovery
        self._world = recovery.world
        self._every = every
        self._saved = time.monotonic()
        self._cost = 0.0
        self._saving: dict[str, Any] = {}
        self._resumed: dict[str, Any] = {}
        self._loops: dict[str, Any] = {}
        self._made: dict[str, Any] = {}
        self._start: dict[str, Any] = {}
        self._lost: set[str] = set()
        self._drawn: DrawnBatches | None = None
        self._untouched: Untouched | None = None
        self._refused = False

    def state_dict(self) -> dict[str, Any]:
        return self._saving

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if self._recovery.awaits_partial:
            self._resumed = state_dict

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Lets Lightning take the epoch for one that has not begun: it calls the hooks of its start then, and no loader
        with a state of its own, which Lightning would put back, is in the midst of it."""
        checkpoint["loops"]["fit_loop"]["state_dict"].pop("combined_loader", None)
        if not self._recovery.awaits_partial or self.state_key not in checkpoint["callbacks"]:
            return
        loops = checkpoint["loops"]["fit_loop"]
        self._loops = deepcopy(loops)
        for progress in (loops["epoch_progress"]["total"], loops["epoch_progress"]["current"]):
            progress["ready"] = progress["started"] = progress["processed"]

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if stage != TrainerFn.FITTING or self.looks_for_stop:
            return
        reason = ddp_state.reason_against(trainer)
        if not reason and self._world.size != trainer.world_size:
            reason = f"{type(trainer.strategy.checkpoint_io).__name__} writes the checkpoints"
        if self._recovery.awaits_partial:
            require_continuable(self._recovery.resumed_from, trainer.world_size, reason)
        if reason:
            if trainer.is_global_zero:
                log.info("the middle of an epoch is not saved, as %s: a broken epoch is begun again", reason)
            return
        if self._world.size > 1:
            rule_signals(trainer)
        self.looks_for_stop = True
        loop = trainer.fit_loop
        call_after(loop, "_load_combined_loader_states", lambda: self._making_loaders(trainer))
        call_after(loop.epoch_loop, "on_run_start", lambda *_: self._began(trainer))
        around_batches(loop, lambda: self._before_validation(trainer), lambda: self._after_batch(trainer))

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._resumed:
            plain_state.restore(self._resumed["start"]["plain"], trainer)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._saved = time.monotonic()

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Called when `Recovery` has saved or restored, and before the hooks of all others."""
        if not self.looks_for_stop:
            return
        self._saved = time.monotonic()
        self._done_for_user(trainer)  # with what was saved at the end of the epoch before
        if self._resumed:
            self._start = self._resumed["start"]
            self._begin_again(trainer)
            self._untouched = Untouched(trainer)
            return
        progress = self._recovery.progress
        carried = progress.carried if progress.epochs else extra_state.states(extra_state.roots_of(trainer))
        self._start = {
            "made": self._made,
            "generators": in_flight.generators(),
            "carried": carried,
            "plain": {path: values for path, values in progress.plain.items() if _is_data(path)},
        }
        self._lost = set(progress.lost) if progress.epochs else set()

    def _making_loaders(self, trainer: pl.Trainer) -> None:
        """The loaders of the first epoch are there, and their iterator is not."""
        if trainer.current_epoch > 0:
            return
        if self._resumed:
            in_flight.set_generators(self._resumed["start"]["made"])
        self._made = in_flight.generators()

    def _began(self, trainer: pl.Trainer) -> None:
        """The iterator of the epoch is there, and none of its batches."""
        if not self._is_in(trainer):
            return
        if self._resumed:
            self._continue(trainer)
        else:
            self._drawn = DrawnBatches(trainer)

    def _begin_again(self, trainer: pl.Trainer) -> None:
        """What batches are made of is as it was when the epoch began; the rest, which may be large, is as it is now."""
        rest = {path: values for path, values in self._recovery.progress.plain.items() if not _is_data(path)}
        extra_state.restore(self._start["carried"], extra_state.roots_of(trainer))
        plain_state.restore({**rest, **self._start["plain"]}, trainer)
        in_flight.set_generators(self._start["generators"])

    def _continue(self, trainer: pl.Trainer) -> None:
        state, loop = self._resumed, trainer.fit_loop.epoch_loop
        fetcher: Any = trainer.fit_loop._data_fetcher
        if trainer.current_epoch > 0:
            iter(fetcher)
        log.info("drawing the first %d batches of epoch %d again", state["batches"], trainer.current_epoch + 1)
        self._drawn = DrawnBatches(trainer)
        same = self._drawn.redraw(state["batches"], signals.check_stop) and self._drawn.state() == state["drawn"]
        if any(self._world.agree(not same)):
            self._recovery.paths.partial_checkpoint.unlink(missing_ok=True)
            raise NewAttemptError(
                f"epoch {trainer.current_epoch + 1} can't be continued, as the batches that it draws are not those of "
                "the attempt before: a new attempt begins it again"
            )
        assert self._untouched is not None
        self._untouched.restore()
        loop.load_state_dict(self._loops, prefix="epoch_loop.")
        _Loop.restarting.fset(loop, False)  # type: ignore[attr-defined]
        progress = self._recovery.progress
        extra_state.freeze(trainer.lightning_module, progress.frozen)
        missing = extra_state.restore(progress.carried, extra_state.roots_of(trainer))
        for path in [*missing, *plain_state.restore(progress.plain, trainer)]:
            log.warning("the state of %s can't be put back: it is not there in this attempt", path)
        progress.batches, progress.rows, progress.stepped = 0, None, None
        in_flight.restore(state["in_flight"], trainer)
        in_flight.set_generators(state["generators"])
        ddp_state.restore(state["ddp"], trainer)
        self._resumed, self._loops, self._untouched = {}, {}, None
        self._saved = time.monotonic()
        if state["validates"]:
            type(loop).on_advance_end(loop, fetcher)
            self._after_batch(trainer)

    def _before_validation(self, trainer: pl.Trainer) -> None:
        worth = time.monotonic() - self._saved >= max(_WORTH_SECONDS, _SHARE * self._cost)
        if self._world.size == 1 and not worth and not signals.stop_requested():
            return  # before all that costs each batch more
        fetcher: Any = trainer.fit_loop._data_fetcher
        by_clock = self._world.size > 1 and vars(trainer)["_val_check_time_interval"] is not None  # each has its own
        if by_clock or not self._is_in(trainer) or not trainer.fit_loop.epoch_loop._should_check_val_fx(fetcher):
            return
        with signals.put_off_stop():
            signum, saves = self._world.agree(signals.requested_signal(), worth and trainer.is_global_zero)
            if signum or saves:
                self._save(trainer, validates=True)
        if signum:
            signals.stop_by(signum)

    def _after_batch(self, trainer: pl.Trainer) -> None:
        since = time.monotonic() - self._saved
        asked = getattr(trainer.strategy.checkpoint_io, "saved_for_user", False) and since >= _OWN_SHARE * self._cost
        due = asked or since >= max(self._every, _SHARE * self._cost)
        if self._world.size == 1 and not due and not signals.stop_requested():
            return  # before all that costs each batch more
        if not self._is_in(trainer):
            signals.check_stop()  # a tuner has taken away who looks otherwise
            return
        if trainer.fit_loop.epoch_loop._num_ready_batches_reached():
            return  # the epoch is over; `Recovery` saves it
        with signals.put_off_stop():
            signum, saves = self._world.agree(signals.requested_signal(), due and trainer.is_global_zero)
            if signum or saves:
                self._save(trainer, validates=False)
        if signum:
            signals.stop_by(signum)
        if self._world.size == 1:  # the others can't know
            signals.check_stop()

    def _is_in(self, trainer: pl.Trainer) -> bool:
        """Not where a tuner tries something, with callbacks of its own."""
        return self in vars(trainer)["callbacks"] and trainer.state.fn == TrainerFn.FITTING

    @signals.defer_signals()  # a stop has the grace to save
    def _save(self, trainer: pl.Trainer, *, validates: bool) -> None:
        began, recovery = time.monotonic(), self._recovery
        self._saved = began
        self._done_for_user(trainer)
        reason = self._world.reason(self._refusal(trainer)) or rank_parts.reason_of_weights(trainer, self._world)
        if reason:
            if not self._refused and trainer.is_global_zero:
                log.warning(
                    "warning: the middle of an epoch is not saved, as %s: a broken epoch is begun again", reason
                )
            self._refused = True
            return
        progress, drawn = recovery.progress, self._drawn
        assert drawn is not None
        loop = trainer.fit_loop.epoch_loop
        before = progress.metrics
        recovery.note(trainer, logged_metrics(trainer))
        self._saving = {
            "batches": loop.batch_progress.current.ready,
            "validates": validates,
            "start": self._start,
            "generators": in_flight.generators(),
            "in_flight": in_flight.captured(trainer),
            "drawn": drawn.state(),
            "ddp": ddp_state.captured(trainer),
        }
        progress.batches, progress.processes = loop.batch_progress.current.ready, self._world.size
        progress.rows = next((each.rows for each in trainer.loggers if isinstance(each, MetricsTable)), None)
        progress.stepped = loop._batches_that_stepped + (validates and not loop._should_accumulate())
        try:
            recovery.store(trainer, recovery.paths.partial_checkpoint)
            recovery.kept.show()
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            log.warning("warning: the middle of an epoch is not saved, as the disk is full: training continues")
        finally:
            self._saving = {}
            progress.batches, progress.rows, progress.stepped, progress.metrics = 0, None, None, before
        self._saved = time.monotonic()
        self._cost = self._saved - began

    def _done_for_user(self, trainer: pl.Trainer) -> None:
        files = trainer.strategy.checkpoint_io
        if isinstance(files, WholeFiles):
            files.saved_for_user = False

    def _refusal(self, trainer: pl.Trainer) -> str:
        if type(trainer.strategy.checkpoint_io) is not WholeFiles:
            return f"{type(trainer.strategy.checkpoint_io).__name__} writes the checkpoints"
        assert self._drawn is not None
        if reason := self._drawn.reason() or ddp_state.reason_of_optimizers(trainer) or in_flight.reason(trainer):
            return reason
        _, lost = self._recovery.plain.capture(trainer)
        if new := sorted(set(lost) - self._lost):
            return f"no checkpoint can hold {', '.join(new)}"
        return ""


def _is_data(path: str) -> bool:
    """Whether batches are made of it."""
    return path.startswith(("data", "sampler", "batch_sampler"))
