"""The steps from a container class to a trained, evaluated, reported model, in the order that the entrypoint takes
them.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from innereye_runtime.api.container import LightningContainer
from innereye_runtime.api.described import public_attributes
from innereye_runtime.compat.lightning1_hooks import adapt_module
from innereye_runtime.compat.uncalled_hooks import warn_uncalled_hooks
from innereye_runtime.data.datasets import check_unchanged
from innereye_runtime.data.datasets import resolve as resolve_datasets
from innereye_runtime.data.mount.mountpoints import link
from innereye_runtime.data.staging import StagedDataset
from innereye_runtime.errors import ExitCode, UsageError
from innereye_runtime.introspection.arguments.checker import Argument, apply
from innereye_runtime.introspection.discovery import load
from innereye_runtime.job.datasets import datasets_of, mountpoints_of
from innereye_runtime.job.launch_context import LaunchContext
from innereye_runtime.parameters.values import plain
from innereye_runtime.redaction import redacted
from innereye_runtime.report import write_report
from innereye_runtime.run.output_manifest import check_expected, start_background_hashing, write_outputs
from innereye_runtime.run.record import write_json
from innereye_runtime.training import compiling
from innereye_runtime.training.checkpoints.checkpointing import LAST, Progress, Recovery
from innereye_runtime.training.checkpoints.description import describe_best, describe_checkpoints
from innereye_runtime.training.checkpoints.given_checkpoints import read_given_checkpoints
from innereye_runtime.training.checkpoints.open_epoch import OpenEpoch
from innereye_runtime.training.checkpoints.pretrained import require_weights, starting_weights
from innereye_runtime.training.checkpoints.resuming import (
    GivenWeights,
    find_resume_point,
    fit,
    note_differences,
    restore_finished_run,
)
from innereye_runtime.training.checkpoints.same_start import SameStart
from innereye_runtime.training.evaluation.evaluate import evaluate
from innereye_runtime.training.lifecycle.contract import container_class, data_of, require_model
from innereye_runtime.training.lifecycle.debugging import load_without_workers
from innereye_runtime.training.lifecycle.direct_container import direct_container
from innereye_runtime.training.lifecycle.loggers import loggers_of
from innereye_runtime.training.lifecycle.node_files import share_files
from innereye_runtime.training.lifecycle.regression import check_regression
from innereye_runtime.training.lifecycle.run import Run
from innereye_runtime.training.lifecycle.seeding import seed_run
from innereye_runtime.training.lifecycle.trackers import introduce, with_loggers
from innereye_runtime.training.lifecycle.variant import checked_arguments
from innereye_runtime.training.lifecycle.watching import watching_callbacks
from innereye_runtime.training.lightning.metrics import SPLITS
from innereye_runtime.training.lightning.model_summary import description_of, summarize_model
from innereye_runtime.training.lightning.monitoring import record_load
from innereye_runtime.training.lightning.trainer import gpu_hardware, make_trainer, quieten_lightning

log = logging.getLogger("innereye_runtime")

_SHOWN = 12
"""Test metrics that are printed."""


@dataclass(slots=True, kw_only=True)
class TrainingResult:
    """What training leaves for the steps after it."""

    trainer: pl.Trainer
    data: pl.LightningDataModule | None
    """None: the loaders are the model's own."""
    progress: Progress
    weights: list[Path] = field(default_factory=list)
    """The given checkpoints, where there was no training; the best of the run's own where empty."""


def create_container(run: Run) -> LightningContainer:
    """The container: its class imported, its arguments checked once more, against the class itself, and set.

    Raises:
        ManifestError: the class refuses an argument that its source did not tell about.
    """
    job = run.job
    quieten_lightning()
    if job.debug:
        load_without_workers()
    compiling.install(gpu=job.manifest.compute.gpus not in ("none", 0))
    log.info("%s, attempt %d, in %s", job.model_name, run.record.attempt.number, run.paths.root)
    container = direct_container(job) or container_class(load(job.location, job.search_path), job.location)()
    parameters, checked = checked_arguments(container, job)
    apply(container, checked)
    container.output_to = str(run.paths.root)
    container._num_nodes = job.manifest.compute.nodes
    container._use_gpu = job.manifest.compute.gpus not in ("none", 0)
    if run.ranks.is_first:
        warn_uncalled_hooks(container)
    os.environ.update(container.get_additional_environment_variables())
    # Second names of a parameter would only say the same again.
    first_names = (name for name, each in parameters.items() if not each.alias_of and each.merges_with is None)
    given = {name: checked.arguments[name] for name in first_names if name in checked.arguments}
    run.record.arguments = {
        name: {"value": plain(each.value), "origin": _origin(run.record.arguments.get(name), each)}
        for name, each in given.items()
    }
    run.record.hardware["gpus"] = gpu_hardware()
    if run.ranks.is_first:
        lines = (f"{name} = {plain(each.value)}\n" for name, each in given.items())
        own = (f"{name} = {text}\n" for name, text in public_attributes(container).items())
        run.paths.args.write_text(redacted("".join([*lines, *own])), encoding="utf-8")
    return container


def _origin(before: Mapping[str, Any] | None, argument: Argument) -> str:
    """Where an argument comes from. The manifest of a resumed run has all that was set: what its first attempt says."""
    same = before is not None and before["value"] == plain(argument.value)
    return str(before["origin"]) if before is not None and same else argument.origin


def find_datasets(run: Run, container: LightningContainer, places: Sequence[Path]) -> None:
    """Gives the container its datasets: from `places`, else from the manifest, else what the container says itself.

    Raises:
        DataError: one isn't there, isn't the one whose sha256 the manifest has, or changed since an earlier attempt.
    """
    arguments = {
        name: Argument(name=name, value=getattr(container, name), origin=given["origin"])
        for name, given in run.record.arguments.items()
        if hasattr(container, name)  # the others are those of `model` and `data`
    }
    staged = [StagedDataset.from_data(data) for data in LaunchContext.read().datasets]
    found = resolve_datasets(datasets_of(run.job, arguments), places, staged=staged)
    check_unchanged(found, run.record.datasets)
    run.record.datasets = [dataset.describe() for dataset in found]
    if found:
        folders = link(mountpoints_of(run.job, arguments), [dataset.path for dataset in found])
        container.local_dataset, container.extra_local_dataset_paths = folders[0], folders[1:]


def train(run: Run, container: LightningContainer, terminal: IO[str] | None) -> TrainingResult:
    """The trained model: from the start, from given weights, or from the newest checkpoint of an earlier attempt."""
    job, paths, record = run.job, run.paths, run.record
    seed = record.seed = container.effective_random_seed
    seed_run(seed)
    multiprocessing.set_start_method(container.multiprocessing_start_method.value, force=True)
    container.setup()
    model = adapt_module(require_model(container))
    data = data_of(container, model)
    record.container["description"] = description_of(type(container if job.direct is None else model))
    record.model_summary = summarize_model(model)
    if not container.eval_full:  # hi-ml calls them for inference alone, and not for a full evaluation
        _before_training(run, container)

    ranks = run.ranks
    resumed = find_resume_point(paths, record.attempt, settling=ranks.is_first, processes=ranks.processes)
    recovery = Recovery(
        paths,
        seed=seed,
        monitor=container.checkpoint_monitor,
        mode=container.checkpoint_mode,
        every_n_epochs=container.autosave_every_n_val_epochs,
        resumed=resumed,
        foreign=container.resume_training,
    )
    recovery.kept.saved = run.stage if run.ranks.is_first else None
    saving_callbacks = [recovery, OpenEpoch(recovery, every=job.manifest.trainer.checkpoint_seconds)]
    if job.manifest.compute.nodes > 1:
        saving_callbacks.append(SameStart(resumed))
    loggers = loggers_of(run, resumed)
    trainer = make_trainer(
        container,
        paths=paths,
        gpus=job.manifest.compute.gpus,
        nodes=job.manifest.compute.nodes,
        processes=job.manifest.compute.processes,
        smoke=job.smoke,
        manifest_arguments=with_loggers(job, container),
        epochs_given=record.arguments["num_epochs"]["origin"] in ("manifest", "command line"),
        callbacks=[*saving_callbacks, *watching_callbacks(container, paths, terminal, smoke=job.smoke)],
        loggers=loggers,
    )
    introduce([each for each in trainer.loggers if each not in loggers], run)
    if resumed is None or not resumed.progress.finished:
        note_differences(trainer, record.attempt, resumed=resumed is not None)
    run.write()
    if resumed is not None and resumed.progress.finished:
        restore_finished_run(resumed, trainer, model, data)
        return TrainingResult(trainer=trainer, data=data, progress=resumed.progress)
    start = [resumed.path] if resumed else starting_weights(container, paths.root, job.cwd)
    require_weights(container, start)
    if container._skips_training:
        return TrainingResult(trainer=trainer, data=data, progress=recovery.progress, weights=start)
    if len(start) > 1:
        raise UsageError(
            f"{len(start)} checkpoints are given to start training from",
            hint="name one, or set run_inference_only for an ensemble",
        )
    whole_state = resumed is not None or container.resume_training
    if start and not whole_state:
        _callbacks_of(trainer).insert(0, GivenWeights(start[0]))
    elif start and resumed is None:
        read_given_checkpoints(trainer)
    with record_load(paths.logs / "load.csv", container.monitoring_interval_seconds):
        fit(trainer, model, data, checkpoint=start[0] if start and whole_state else None)
    record.model_summary = record.model_summary or summarize_model(model)
    progress = recovery.progress
    if progress.epochs > 0 and progress.monitor != LAST and progress.best_value is None:
        log.warning("warning: best.ckpt is that of %s", describe_best(progress))
    return TrainingResult(trainer=trainer, data=data, progress=progress)


def _before_training(run: Run, container: LightningContainer) -> None:
    if run.ranks.is_first:
        container.before_training_on_global_rank_zero()
    if run.ranks.is_first_on_node:
        container.before_training_on_local_rank_zero()
    container.before_training_on_all_ranks()


def _callbacks_of(trainer: pl.Trainer) -> list[Callback]:
    callbacks: list[Callback] = vars(trainer)["callbacks"]
    return callbacks


def evaluate_best(run: Run, container: LightningContainer, trained: TrainingResult) -> None:
    """Evaluates the best checkpoint, and writes metrics.json: the last epoch's metrics of train and val, those of
    test.
    """
    share_files(run, trained.trainer)
    if run.ranks.is_first:
        run.hashed_ahead = start_background_hashing(run.paths.root)
    chosen = container.get_checkpoint_to_test()
    best = run.paths.best_checkpoint
    checkpoints = trained.weights or ([best] if best.exists() else [])
    if chosen is not None and len(checkpoints) <= 1:
        checkpoints = [chosen]
    metrics = {split: dict(trained.progress.metrics.get(split, {})) for split in SPLITS}
    metrics["test"] |= evaluate(
        container, trained.data, trained.trainer, checkpoints, seed=run.record.seed, smoke=run.job.smoke
    )
    run.record.metrics = metrics
    for name, value in list(metrics["test"].items())[:_SHOWN]:
        log.info("%s: %s", name, "not a number" if value is None else f"{value:.4g}")
    if (more := len(metrics["test"]) - _SHOWN) > 0:
        log.info("and %d more in metrics.json", more)
    if run.ranks.is_first:
        write_json(run.paths.metrics_json, metrics)
        run.record.checkpoints = describe_checkpoints(run.paths, trained.progress)


def report(run: Run, container: LightningContainer) -> None:
    """The container's own report, then the check of what the manifest says must be there.

    Raises:
        OutputError: an expected output is missing or empty, or differs from that of the regression test.
    """
    if not run.ranks.is_first:
        return
    if container.generate_report:
        container.create_report()
    if run.job.manifest.outputs.expect:
        write_report(run.paths)  # it may be expected too; it is written anew when all is known
    check_expected(run.paths.root, run.job.manifest.outputs.expect)
    expected = container.regression_test_folder
    check_regression(
        run.job.cwd / expected if expected is not None else None,
        run.paths.root,
        csv_tolerance=container.regression_test_csv_tolerance,
    )
    log.info("report: %s", run.paths.report)  # written when the run's end is known, where no line is logged any more


def finalise(run: Run) -> None:
    """Writes report.html, however the run ended, and for a complete one outputs.json, the last of all files."""
    if not run.ranks.is_first:
        return
    with run.record_errors():
        if run.exit_code == ExitCode.DONE:
            completed = deepcopy(run.record)
            completed.end_attempt("completed", ExitCode.DONE, "")
            write_report(run.paths, record=completed.to_data())
            # Until all is there that it promises, the record says that the run is at work.
            write_outputs(run.paths.root, ahead=run.hashed_ahead, complete=lambda: completed.write(run.paths))
            return
        write_report(run.paths)
    run.write()
