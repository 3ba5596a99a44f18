"""The checks, each seen to find what it is for, with no engine; those of the engine stand in the tests of failures."""

from __future__ import annotations

import json
import shutil
from collections import namedtuple
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.projects import Project
from tests.targets.docker.conftest import Engine

from innereye_runtime.errors import DataError, PreflightError
from innereye_runtime.manifest.model import Compute, Container, Dataset, DockerSettings, Manifest
from innereye_runtime.manifest.units import Memory
from innereye_runtime.targets.preflight import (
    credentials,
    dataset,
    disk,
    gpu,
    image,
    raise_on_failed_checks,
    run_checks,
    shared_memory,
)
from innereye_runtime.targets.preflight.context import CheckContext
from innereye_runtime.targets.preflight.result import CheckResult

SMALL = Manifest(path=None, name="small", container=Container(class_name="Small"))
Usage = namedtuple("Usage", "total used free")


def subject(
    tmp_path: Path, manifest: Manifest | None = SMALL, target: Any = "process", **environment: str
) -> CheckContext:
    return CheckContext(
        target=target,
        manifest=manifest,
        datasets=manifest.datasets if manifest else (),
        image_reference="innereye-runtime:cpu",
        outputs=tmp_path,
        environment=environment,
    )


def with_image(found: CheckContext, labels: dict[str, str]) -> CheckContext:
    found.__dict__["image"] = {"Config": {"Labels": labels}, "Size": 1}
    return found


def test_a_small_job_may_start(tmp_path: Path) -> None:
    found = dict(run_checks(subject(tmp_path)))
    assert set(found) == {"packages", "gpu", "disk", "shared memory", "dataset", "credentials"}
    assert all(finding.status != "failed" for finding in found.values())
    raise_on_failed_checks(subject(tmp_path))


def test_a_gpu_that_is_not_there_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "visible_gpus", lambda: 2)
    for wanted, fails in (("none", False), ("all", False), (2, False), (3, True), ((0, 1), False), ((0, 2), True)):
        manifest = replace(SMALL, compute=Compute(gpus=wanted))
        assert (gpu.check(subject(tmp_path, manifest)).status == "failed") is fails, wanted
    monkeypatch.setattr(gpu, "visible_gpus", lambda: 0)
    with pytest.raises(PreflightError, match="this machine has none"):
        raise_on_failed_checks(subject(tmp_path, replace(SMALL, compute=Compute(gpus="all"))))


@pytest.mark.parametrize(
    ("script", "number"),
    [
        ("echo 'GPU 0: NVIDIA H100 (UUID: GPU-1)'; echo 'GPU 1: NVIDIA H100 (UUID: GPU-2)'", 2),
        ("echo 'GPU 0: no longer there'; exit 9", 0),
        (None, 0),
    ],
)
def test_the_driver_says_how_many_gpus_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str | None, number: int
) -> None:
    if script is not None:
        (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "nvidia-smi").chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpu.visible_gpus() == number


def test_a_driver_that_does_not_answer_has_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nvidia-smi").write_bytes(b"\x7fELF")  # for another processor
    (tmp_path / "nvidia-smi").chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpu.visible_gpus() == 0


@pytest.mark.parametrize(
    ("local", "runtimes", "status"),
    [(True, {"nvidia": {}}, "ok"), (True, {"runc": {}}, "failed"), (True, None, "failed"), (False, {}, "skipped")],
)
def test_the_engine_has_gpus_where_it_has_the_runtime_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, local: bool, runtimes: Any, status: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(gpu, "visible_gpus", lambda: 1)
    found = subject(tmp_path, replace(SMALL, compute=Compute(gpus=1)), target="docker")
    found.__dict__["client"] = SimpleNamespace(address=SimpleNamespace(is_local=local))
    found.__dict__["info"] = {"Runtimes": runtimes}
    finding = gpu.check(found)
    assert finding.status == status
    assert ("no NVIDIA runtime" in finding.message) == (status == "failed")


def test_what_an_engine_would_say_is_skipped_where_none_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nowhere")
    found = subject(tmp_path, replace(SMALL, compute=Compute(gpus=1)), target="docker")
    assert [check.check(found).message for check in (gpu, image)] == ["needs the engine"] * 2


@pytest.mark.parametrize(("free", "status"), [(10 << 20, "failed"), (1 << 30, "warning"), (100 << 30, "ok")])
def test_disk(free: int, status: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(1 << 40, 0, free))
    assert disk.check(subject(tmp_path / "not" / "there")).status == status


def test_shared_memory(tmp_path: Path) -> None:
    compute = Compute(shm_size=Memory.parse("8g"), docker=DockerSettings(memory=Memory.parse("4g")))
    finding = shared_memory.check(subject(tmp_path, replace(SMALL, compute=compute), target="docker"))
    assert finding.status == "failed" and "more than compute.docker.memory" in finding.message
    compute = replace(compute, shm_size=Memory.parse("1g"))
    assert shared_memory.check(subject(tmp_path, replace(SMALL, compute=compute), target="docker")).status == "ok"
    huge = replace(SMALL, compute=Compute(shm_size=Memory.parse("900t")))
    assert shared_memory.check(subject(tmp_path, huge)).status in ("warning", "skipped")


def test_dataset(tmp_path: Path) -> None:
    manifest = replace(SMALL, datasets=(Dataset(local=tmp_path / "nowhere"),))
    with pytest.raises(DataError):
        raise_on_failed_checks(subject(tmp_path, manifest))
    (tmp_path / "nowhere").mkdir()
    assert dataset.check(subject(tmp_path, manifest)).status == "ok"


def test_credentials_are_named_and_never_shown(tmp_path: Path) -> None:
    manifest = replace(SMALL, secrets=("API_KEY",))
    assert credentials.check(subject(tmp_path, manifest)).status == "failed"
    finding = credentials.check(subject(tmp_path, manifest, API_KEY="hunter2"))
    assert finding == CheckResult(status="ok", message="set: API_KEY")


def test_an_image_says_which_manifests_it_reads(tmp_path: Path) -> None:
    for labels, status in (({"innereye-runtime.manifest-schema": "2"}, "failed"), ({}, "warning")):
        assert image.check(with_image(subject(tmp_path, target="docker"), labels)).status == status


def test_doctor_tells_all_of_it_and_ends_with_the_code_that_a_job_would_end_with(
    engine: Engine, project: Project
) -> None:
    good = project.run("doctor", "--target", "docker", "tiny.yaml")
    assert good.exit_code == 0, good.stdout + good.stderr
    assert good.stdout.count("\nok ") + good.stdout.startswith("ok ") == 8
    project.write("bad.yaml", "schema: 1\ncontainer: {class: Tiny}\ndataset: {local: nowhere}\nsecrets: [NOT_SET]\n")
    bad = project.run("doctor", "--json", "--target", "docker", "bad.yaml")
    assert bad.exit_code == 5
    found = {entry["check"]: entry for entry in json.loads(bad.stdout)}
    assert {name for name, entry in found.items() if entry["status"] == "failed"} == {"dataset", "credentials"}
    assert found["credentials"]["exit_code"] == 3
    assert all(entry["remedy"] for entry in found.values() if entry["status"] == "failed")
