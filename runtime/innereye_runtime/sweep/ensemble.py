"""The ensemble of the folds of a cross-validation: a run of its own, which trains nothing and evaluates the folds' best
checkpoints together.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from innereye_runtime.errors import ExitCode
from innereye_runtime.manifest.model import Manifest, Outputs
from innereye_runtime.run.paths import RunPaths
from innereye_runtime.sweep.record import FINAL, SweepRecord, TrialRecord
from innereye_runtime.sweep.results import verdict_on
from innereye_runtime.sweep.trials import Trial, manifest_of

NAME: Final = "ensemble"
"""Of its run folder, beside `trials/`."""


def is_due(manifest: Manifest, record: SweepRecord) -> bool:
    """Whether an ensemble is asked for, all folds have ended, and the ensemble has not been started."""
    if not _is_asked(manifest) or record.ensemble is not None or len(record.trials) < record.total:
        return False
    return all(trial.state in FINAL for trial in record.trials) and bool(_members(record))


def to_be_run_here(folder: Path) -> str:
    """What to say of folds whose target ran them without their ensemble."""
    return f"the ensemble of the folds has not run: innereye-run resume {folder} --target process runs it here"


def new_run(record: SweepRecord) -> TrialRecord:
    """The run of the ensemble, planned: that of the best trial, or of the only one."""
    first = _members(record)[0]
    return TrialRecord(name=NAME, group=first.group, parameters=first.parameters)


def verdict(manifest: Manifest, record: SweepRecord) -> tuple[int, str]:
    """The exit code of the sweep whose runs have all ended, and the reason: of its trials, and of the ensemble."""
    exit_code, reason = verdict_on(record)
    if exit_code != ExitCode.DONE or not _is_asked(manifest):
        return exit_code, reason
    run = record.ensemble
    if run is None:
        return int(ExitCode.OUTPUTS), f"there is no ensemble: no trial has a value of {record.primary_metric}"
    if run.state == "failed":
        return run.exit_code or int(ExitCode.OUTPUTS), f"the ensemble failed: {run.reason}"
    return exit_code, reason


def _is_asked(manifest: Manifest) -> bool:
    return manifest.cross_validation is not None and manifest.cross_validation.ensemble is not None


def _members(record: SweepRecord) -> list[TrialRecord]:
    """The folds of the best trial, or of the only one; none where a fold of it has not completed."""
    chosen = record.best["trial"] if record.best else 0
    folds = [trial for trial in record.trials if trial.group == chosen]
    whole = all(trial.state == "completed" for trial in folds)
    unknown = record.sampling_algorithm is not None and record.best is None
    return folds if whole and not unknown else []


def manifest_of_run(manifest: Manifest, folder: Path, record: SweepRecord, run: TrialRecord) -> Manifest:
    """The manifest of a trial, or of the ensemble, of the sweep in the folder."""
    if run is record.ensemble:
        return _manifest_of_ensemble(manifest, folder, record)
    return manifest_of(manifest, _trial(run))


def _trial(run: TrialRecord) -> Trial:
    return Trial(number=int(run.name), group=run.group, parameters=run.parameters, fold=run.fold)


def _manifest_of_ensemble(manifest: Manifest, folder: Path, record: SweepRecord) -> Manifest:
    """The manifest of the run in the folder of the sweep: that of the first fold, whose data it is evaluated on, with
    the checkpoints of all of them.
    """
    members = _members(record)
    cross_validation, first = manifest.cross_validation, members[0]
    assert cross_validation is not None
    fold = manifest_of(manifest, _trial(first))
    args = {name: value for name, value in fold.container.args.items() if name != "regression_test_folder"}
    args |= {
        # Weights to start training from are not members, wherever they are set.
        "weights_url": [],
        "model_id": "",
        "src_checkpoint": "",
        "resume_training": False,
        "run_inference_only": True,
        "local_weights_path": [str(_checkpoint(folder / "trials" / member.name)) for member in members],
        "ensemble_average": cross_validation.ensemble,
    }
    return replace(
        fold,
        name=f"{manifest.name}-{NAME}",
        container=replace(fold.container, args=args),
        # Files and models that a training leaves are not expected of it.
        outputs=Outputs(folder=fold.outputs.folder),
    )


def _checkpoint(folder: Path) -> Path:
    """The one that the fold was tested with."""
    paths = RunPaths(folder)
    return paths.best_checkpoint if paths.best_checkpoint.is_file() else paths.last_checkpoint
