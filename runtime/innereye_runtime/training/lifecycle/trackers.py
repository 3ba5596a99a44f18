"""Experiment trackers beside a run: Weights & Biases, Comet and MLflow, each with one tracker run for all attempts.

A tracker's run gets its identity from the run's own: by the variables of the environment that Weights & Biases and
Comet read, whoever starts them, and for MLflow, whose server chooses ids, by a tag that a resumed run looks for.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from innereye_runtime.errors import UsageError
from innereye_runtime.redaction import redacted

if TYPE_CHECKING:
    from pytorch_lightning.loggers.logger import Logger

    from innereye_runtime.api.container import LightningContainer
    from innereye_runtime.job.resolve import Job
    from innereye_runtime.run.record import RunRecord
    from innereye_runtime.training.lifecycle.run import Run

log = logging.getLogger("innereye_runtime")

_TAG: Final = "innereye_runtime.run"
_WHERE: Final = "trainer.arguments.logger"
_TRACKERS: Final = frozenset(("CometLogger", "LitLogger", "MLFlowLogger", "NeptuneLogger", "WandbLogger"))
"""Lightning's loggers of trackers. Others get what Lightning gives them: TensorBoard makes a plot of parameters."""
_VARIABLES: Final = (
    *("WANDB_RUN_ID", "WANDB_RESUME", "WANDB_MODE"),
    *("COMET_EXPERIMENT_KEY", "COMET_START_ONLINE", "COMET_OFFLINE_DIRECTORY"),
)
"""What is set here, and by Lightning's loggers, for one run."""


@contextmanager
def tracked(run: Run) -> Iterator[None]:
    """Inside, trackers that are started belong to `run`. At the end, theirs are finished: nothing is written after it,
    and the record is on disk before, as a tracker may wait for its server."""
    before = {name: os.environ.get(name) for name in _VARIABLES}
    os.environ.setdefault("WANDB_RESUME", "allow")
    for name in ("WANDB_RUN_ID", "COMET_EXPERIMENT_KEY"):
        os.environ.setdefault(name, identity(run.record))
    # Comet names an archive by the generator that a run seeds: that of a second attempt would take its place.
    os.environ.setdefault("COMET_OFFLINE_DIRECTORY", f"comet-attempt-{run.record.attempt.number}")
    try:
        yield
    finally:
        if _started():
            run.write()
            _finish(run.exit_code)
        for name, earlier in before.items():
            os.environ.pop(name, None)
            if earlier is not None:
                os.environ[name] = earlier


def identity(record: RunRecord) -> str:
    """40 letters and digits, the same in each attempt of a run and in no other run."""
    first = record.attempts[0]
    return hashlib.sha256(f"{record.id} {first.host} {first.started}".encode()).hexdigest()[:40]


def with_loggers(job: Job, container: LightningContainer) -> dict[str, Any]:
    """The arguments of the Trainer that the manifest has, with the loggers that it names as objects.

    Raises:
        UsageError: there is no such class, or it does not take the arguments.
    """
    from innereye_runtime.introspection.arguments import references
    from innereye_runtime.training.lifecycle.direct_container import known_in, make

    arguments = dict(job.manifest.trainer.arguments)
    given = arguments.get("logger", [])
    folders = [container.local_dataset, *container.extra_local_dataset_paths]
    datasets = [folder for folder in folders if folder is not None]
    known = known_in(container)
    found: list[Logger] = []
    for each in given if isinstance(given, list) else [given]:
        args = each.get("args") or {}
        for name in references.references(args):
            if problem := references.problem_of(name, len(datasets), folds="fold" in known):
                raise UsageError(f"{_WHERE}: {problem[0]}", hint=problem[1])
        args = references.replaced(args, known, datasets)
        cls = _class(each["class"], job.search_path)
        if cls.__name__ == "CometLogger" and args.get("online") is False:
            # Lightning disables an experiment that is not online; by Comet's own variable it is kept in a file.
            del args["online"]
            os.environ["COMET_START_ONLINE"] = "false"
        try:
            found.append(make(cls, args, job.search_path))
        except ModuleNotFoundError as error:  # Lightning has the class, and the tracker's package is not installed
            hint = "name its package in 'packages' of the manifest, and install it where the run trains"
            raise UsageError(f"{_WHERE}: {each['class']} can't be used: {error}", hint=hint) from error
    return {**arguments, "logger": found} if "logger" in arguments else arguments


def introduce(loggers: Sequence[Logger], run: Run) -> None:
    """Gives each tracker of the user's the parameters of the run, its name and the address of its folder."""
    trackers = [each for each in loggers if _TRACKERS & {base.__name__ for base in type(each).__mro__}]
    if not trackers or not run.ranks.is_first:
        return
    values = {name: _plain(argument["value"]) for name, argument in run.record.arguments.items()}
    values |= {"innereye_run": run.record.id, "innereye_run_folder": str(run.paths.root)}
    for logger in trackers:
        if hasattr(logger, "_mlflow_client"):
            _continue_in_mlflow(logger, identity(run.record), resumed=len(run.record.attempts) > 1)
        if hasattr(logger, "_comet_config") and getattr(getattr(logger, "experiment", None), "disabled", False):
            log.warning(
                "warning: the experiment of CometLogger is disabled, and keeps nothing; to keep it in a file, leave "
                "'online' out and set COMET_START_ONLINE to false under 'environment' in the manifest"
            )
        logger.log_hyperparams(values)


def _continue_in_mlflow(logger: Any, key: str, *, resumed: bool) -> None:
    """Marks the MLflow run that the logger will make, or lets it take the one that an earlier attempt made."""
    logger.tags = {**(logger.tags or {}), _TAG: key}
    if not resumed or logger._run_id is not None:
        return
    client = logger._mlflow_client
    try:
        experiment = client.get_experiment_by_name(logger._experiment_name)
        ids = [experiment.experiment_id] if experiment is not None else []
        runs = client.search_runs(ids, filter_string=f"tags.`{_TAG}` = '{key}'", max_results=1) if ids else []
        if runs:
            logger._run_id = runs[0].info.run_id
            client.update_run(logger._run_id, status="RUNNING")
    except Exception as error:
        log.warning("warning: the MLflow run of the earlier attempt is not continued (%s)", _first_line(error))


def _started() -> bool:
    return _wandb_run() is not None or _comet_experiment() is not None


def _finish(exit_code: int) -> None:
    """Ends what trackers keep open; whatever they raise, the run has ended."""
    wandb, comet = _wandb_run(), _comet_experiment()
    ends = {
        "Weights & Biases": partial(wandb.finish, exit_code=exit_code) if wandb is not None else None,
        "Comet": comet.end if comet is not None else None,
    }
    for name, end in ends.items():
        try:
            if end is not None:
                end()
        except Exception as error:
            log.warning("warning: %s did not end its run (%s)", name, _first_line(error))


def _wandb_run() -> Any:
    """The open run of Weights & Biases; None where it was not even imported."""
    return getattr(sys.modules.get("wandb"), "run", None)


def _comet_experiment() -> Any:
    running: Any = getattr(sys.modules.get("comet_ml"), "get_running_experiment", None)
    return running() if running is not None else None


def _class(name: str, search_path: Sequence[Path]) -> type:
    from innereye_runtime.introspection.discovery import find, load

    return load(find(name, (), search_path), search_path)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping | list | tuple | str):
        return redacted(str(value))
    return value


def _first_line(error: Exception) -> str:
    return redacted(str(error)).partition("\n")[0] or type(error).__name__
