"""The retries of a job, whoever watches it: what is left of them stands in its tags, and the next job's name follows
from its own, so that two who retry the same job submit it once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from innereye_runtime.errors import PreflightError
from innereye_runtime.manifest.model import Retries
from innereye_runtime.targets.azureml.error_mapping import is_not_found
from innereye_runtime.targets.azureml.job_uri import JobUri
from innereye_runtime.targets.azureml.session import Session, state_of
from innereye_runtime.targets.azureml.tags import RUN_TAG, SUBMISSION_TAG

RETRIES_TAG = "innereye-runtime.retries"
_NUMBER = re.compile(r"-r(\d+)$")


def retries_tag(retries: Retries) -> str:
    """The text that `retries_in` reads."""
    return " ".join(f"{field.name}={getattr(retries, field.name)}" for field in fields(retries))


def retries_in(tags: Mapping[str, str]) -> Retries:
    """What is left of a job's retries; none where its tags don't say."""
    found = dict(re.findall(r"(\w+)=(\d+)", tags.get(RETRIES_TAG, "")))
    return Retries(**{field.name: int(found.get(field.name, 0)) for field in fields(Retries)})


def next_name(job: str) -> str:
    """The name of the job that is a job's retry."""
    number = _NUMBER.search(job)
    return f"{_NUMBER.sub('', job)}-r{int(number[1]) + 1 if number else 1}"


def resubmit(session: Session, address: JobUri, left: Retries) -> JobUri:
    """The address of the next job of the same run: the job as the service has it, with its code, its environment and
    its place for the run folder. `left`: of the retries, after this one.

    Raises:
        PreflightError: the service says no, or can't be asked.
    """
    from innereye_runtime.targets.azureml.submission import Submission, send

    job: Any = session.call(f"looking for job {address.job}", lambda client: client.jobs.get(address.job))
    tags = {**(job.tags or {}), RETRIES_TAG: retries_tag(left)}
    job.name = next_name(address.job)
    job.tags = tags
    links = ("Tracking", "Studio")  # the service's own, to the job that ended
    job.services = {name: one for name, one in (job.services or {}).items() if name not in links} or None
    job.outputs.pop("default", None)  # what AzureML keeps of the working directory
    job.properties = {key: value for key, value in (job.properties or {}).items() if not _is_of_service(key)}
    send(session, job, Submission(name=job.name, run=tags.get(RUN_TAG, ""), token=tags.get(SUBMISSION_TAG, "")))
    return session.address(job.name)


def newest_of(session: Session, address: JobUri) -> JobUri:
    """The job that is at work on the run of `address`, or was last: itself, or a retry of it.

    Raises:
        PreflightError: there is no such job, or the service can't be asked.
    """
    job = session.job(address.job)
    while state_of(job) in ("Failed", "NotResponding") and RETRIES_TAG in job.tags:
        try:
            job = session.job(next_name(job.name))
        except PreflightError as error:
            if is_not_found(error):
                break
            raise
    return session.address(job.name)


def _is_of_service(key: str) -> bool:
    """Whether a property is one that the service adds to each job."""
    return key.startswith(("_azureml.", "azureml.", "ProcessInfoFile", "ProcessStatusFile", "ContentSnapshotId"))
