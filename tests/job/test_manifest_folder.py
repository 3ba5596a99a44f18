"""A run that is resumed finds the classes beside the manifest that it was started from."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from innereye_runtime.errors import ManifestError
from innereye_runtime.job.entrypoint_args import EntrypointArgs
from innereye_runtime.job.resolve import Job, resolve_job
from innereye_runtime.job.starting import write_start
from innereye_runtime.run.paths import RunPaths
from innereye_runtime.targets.azureml.command import manifest_place

CODE = "from innereye_runtime import LightningContainer\nclass Own(LightningContainer): pass\n"


def started(root: Path, cwd: Path) -> RunPaths:
    """A run whose manifest and class lie in a folder below the project's root."""
    (root / "jobs" / "lungs").mkdir(parents=True)
    (root / "pyproject.toml").touch()
    (root / "jobs" / "lungs" / "own.py").write_text(CODE)
    (root / "jobs" / "lungs" / "job.yaml").write_text("schema: 1\ncontainer: {class: Own, namespaces: [own]}\n")
    job = resolve_job(root / "jobs" / "lungs" / "job.yaml", cwd=cwd)
    paths = RunPaths(root / "outputs" / "run")
    request = EntrypointArgs(manifest=paths.manifest, code_root=job.code_root)
    write_start(paths, job.manifest, request, model=job.model_name)
    return paths


def resumed(paths: RunPaths, root: Path, cwd: Path) -> Job:
    return resolve_job(paths.manifest, cwd=cwd, root=root, run_folder=paths.root)


def test_a_class_beside_the_manifest_is_found_when_its_run_is_resumed(tmp_path: Path) -> None:
    paths = started(tmp_path, tmp_path)
    assert json.loads(paths.run_json.read_text())["code"]["manifest_folder"] == "jobs/lungs"
    for cwd in (tmp_path, Path("/")):
        job = resumed(paths, tmp_path, cwd)
        assert job.location.file == tmp_path / "jobs" / "lungs" / "own.py"
        assert job.manifest_folder == "jobs/lungs", "the run can be resumed once more"
    outside = replace(job.manifest, path=tmp_path.parent / "elsewhere.yaml")
    assert manifest_place(replace(job, manifest=outside)) == "jobs/lungs/innereye-runtime-manifest.yaml"


@pytest.mark.parametrize("content", ["", "[]", '{"code": null}', '{"code": {"manifest_folder": 3}}', "{"])
def test_a_damaged_record_names_no_folder(tmp_path: Path, content: str) -> None:
    paths = started(tmp_path, tmp_path)
    paths.run_json.write_text(content)
    with pytest.raises(ManifestError):
        resumed(paths, tmp_path, tmp_path)
