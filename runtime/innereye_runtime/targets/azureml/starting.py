"""Submitting a plan: what is checked here before, the code that goes with it, and the run folder's place."""

from __future__ import annotations

import os
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from innereye_runtime.manifest.serializer import dump
from innereye_runtime.run.paths import create_run_folder
from innereye_runtime.targets.azureml.blob_prefix import BlobPrefix
from innereye_runtime.targets.azureml.following import SubmittedJob, remove_if_empty
from innereye_runtime.targets.azureml.local_files import refuse_missing
from innereye_runtime.targets.azureml.log_stream import log_status
from innereye_runtime.targets.azureml.plan import AzureMLPlan
from innereye_runtime.targets.azureml.restarting import set_checkpoints_aside
from innereye_runtime.targets.azureml.retries import RETRIES_TAG, retries_tag
from innereye_runtime.targets.azureml.session import Session
from innereye_runtime.targets.azureml.snapshot import Snapshot, take_snapshot
from innereye_runtime.targets.azureml.submission import check, ensure_not_running, new_submission, submit
from innereye_runtime.targets.azureml.transfer import is_empty, reserve_run_folder, upload_run, upload_text
from innereye_runtime.targets.supervision import secret_values


def start_run(plan: AzureMLPlan) -> SubmittedJob:
    """Checks what can be checked here, sends the code, and submits the job; exactly once, or not at all."""
    secret_values(plan.secrets, os.environ)
    settings = plan.workspace.complete()
    snapshot = take_snapshot(plan.code, without=plan.outputs_folder)
    for left_out in snapshot.left_out:
        log_status(f"not part of the job's code: {left_out}")
    log_status(f"code: {len(snapshot.files):,} files, {snapshot.bytes / 1e6:.1f} MB, from {plan.code}")
    for large in snapshot.large_folders():
        log_status(f"warning: {large}")
    snapshot.check_size()
    refuse_missing(plan.named_files, plan.code, [place for place, _ in snapshot.files])
    session = Session(*settings, signs_in_here=True)
    check(plan)
    session.container(plan.datastore)  # the run folder has a place, or there is no job
    if plan.run_folder is not None:
        folder, is_new = plan.run_folder, False
        ensure_not_running(session, folder.name)
        place = _place(plan, folder)
        if is_empty(session, place):  # it ran elsewhere until now
            upload_run(session, folder, place)
        elif plan.restart:
            set_checkpoints_aside(session, place, folder)
    else:
        folder, is_new = _new_folder(session, plan, datetime.now(UTC)), True
    try:
        return _submitted(session, plan, folder, snapshot)
    except BaseException:
        if is_new:
            remove_if_empty(folder)
        raise


def _submitted(session: Session, plan: AzureMLPlan, folder: Path, snapshot: Snapshot) -> SubmittedJob:
    place = _place(plan, folder)
    values = secret_values(plan.secrets, os.environ)
    submission = new_submission(folder.name)
    try:
        tags = {RETRIES_TAG: retries_tag(plan.manifest.compute.retries)}
        if plan.sweep is not None:
            tags = {}
            upload_text(session, place, "manifest.yaml", dump(plan.manifest))
        address = submit(session, plan, submission, snapshot, values, tags=tags)
    except KeyboardInterrupt:
        log_status(f"look for job {submission.name} in workspace {session.workspace} before you submit again")
        raise
    return SubmittedJob(
        workspace=(session.subscription_id, session.resource_group, session.workspace),
        name=address.job,
        folder=str(folder),
        datastore=place.datastore,
        path=place.path,
        retries=asdict(plan.manifest.compute.retries),
        is_sweep=plan.sweep is not None,
    )


def _new_folder(session: Session, plan: AzureMLPlan, now: datetime) -> Path:
    """A new run folder, of a name that no other run has here or in the datastore."""
    folders: list[Path] = []
    try:
        while True:
            folders.append(create_run_folder(plan.outputs_folder, plan.model_name, now).root)
            if reserve_run_folder(session, _place(plan, folders[-1])):
                return folders.pop()
    finally:
        for folder in folders:
            remove_if_empty(folder)


def _place(plan: AzureMLPlan, folder: Path) -> BlobPrefix:
    return BlobPrefix(datastore=plan.datastore, path=f"{plan.location}/{folder.name}")
