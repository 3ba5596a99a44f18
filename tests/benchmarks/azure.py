"""What a job in Azure Machine Learning costs on this machine, in processor time, beside Azure's SDK alone.

The service is the emulator of this checkout. The image of the jobs does not exist: what becomes of them is not counted.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks.commands import ROOT, innereye_run
from tests.benchmarks.pairs import Row, environment, paired, processor_seconds_of

ROUNDS = 10
MANIFEST = """\
schema: 1
container: {class: HelloContainer}
compute: {azureml: {cluster: cpu, image: "no-such-image:1", experiment: benchmark}}
"""
CLIENT = """
import os, sys
from azure.ai.ml import MLClient, load_job
from azure.identity import DefaultAzureCredential
names = ("SUBSCRIPTION", "RESOURCEGROUP", "WORKSPACE_NAME")
client = MLClient(DefaultAzureCredential(), *(os.environ[f"AZUREML_ARM_{name}"] for name in names))
"""
SUBMIT = f"{CLIENT}print(client.jobs.create_or_update(load_job(sys.argv[1])).name)"
STATUS = f"{CLIENT}print(client.jobs.get(sys.argv[1]).status)"


def submit() -> list[Row]:
    with _project() as (root, command):
        job = root / "job.yaml"
        planned = _printed(command("plan", "--target=azureml", "job.manifest.yaml"), root)
        job.write_text(planned.replace("<UTC start>", "benchmark"))
        ours, other = paired(
            lambda: processor_seconds_of(command("--detach", "--target=azureml", "job.manifest.yaml"), cwd=root),
            lambda: processor_seconds_of([sys.executable, "-W", "ignore", "-c", SUBMIT, str(job)], cwd=root),
            rounds=ROUNDS,
        )
    return [_row("a detached job submitted to Azure", "the SDK's `create_or_update`", ours, other, "<= 0.90")]


def status() -> list[Row]:
    with _project() as (root, command):
        address = _printed(command("--detach", "--target=azureml", "job.manifest.yaml"), root).strip()
        name = address.rpartition("/")[2]
        ours, other = paired(
            lambda: processor_seconds_of(command("status", address), cwd=root),
            lambda: processor_seconds_of([sys.executable, "-W", "ignore", "-c", STATUS, name], cwd=root),
            rounds=ROUNDS,
        )
    return [_row("`status` of a job in Azure", "the SDK's `jobs.get`", ours, other, "<= 0.50")]


def _row(what: str, other: str, ours: list[float], theirs: list[float], target: str) -> Row:
    return Row(what=f"{what}, processor time", other=other, unit="s", ours=ours, theirs=theirs, target=target)


@contextmanager
def _project() -> Iterator[tuple[Path, Callable[..., list[str]]]]:
    """A project with a manifest, and what makes a command of words of `innereye-run`; its workspace is the emulator."""
    from azureml_emulator.emulator import open_emulator

    before = dict(os.environ)
    with tempfile.TemporaryDirectory() as folder, open_emulator(ROOT) as cloud:
        (Path(folder) / "pyproject.toml").write_text("")
        (Path(folder) / "job.manifest.yaml").write_text(MANIFEST)
        os.environ.update(cloud.environment())
        try:
            yield Path(folder), lambda *words: [innereye_run(), *words]
        finally:
            os.environ.clear()
            os.environ.update(before)


def _printed(command: list[str], root: Path) -> str:
    done = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True, env=environment())
    return done.stdout
