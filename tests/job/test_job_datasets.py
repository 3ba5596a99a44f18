"""Which datasets a job has: one answer for every target, whoever names them (class, manifest, command line)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.projects import Project, tiny_project

from innereye_runtime.cli.commands import doctor, explain
from innereye_runtime.compat.innereye_cli import translate
from innereye_runtime.errors import DataError, ManifestError, UsageError
from innereye_runtime.job.datasets import datasets_of
from innereye_runtime.job.resolve import Job, resolve_job
from innereye_runtime.manifest.model import Dataset
from innereye_runtime.manifest.serializer import dump
from innereye_runtime.manifest.units import Memory
from innereye_runtime.targets import process
from innereye_runtime.targets.azureml import plan as azureml
from innereye_runtime.targets.docker import request as docker

CLASSES = {
    "old": """
from InnerEye.ML.lightning_container import LightningContainer
class Foreign(LightningContainer):
    def __init__(self):
        super().__init__()
        self.azure_dataset_id = "lungs"
        self.extra_azure_dataset_ids = ["masks"]
""",
    "successor": """
from innereye_runtime import LightningContainer
class Foreign(LightningContainer):
    def __init__(self):
        super().__init__(azure_datasets=["lungs", "masks"])
""",
    "today": """
from innereye_runtime import LightningContainer
class Foreign(LightningContainer):
    azure_dataset_id = "lungs"
    extra_azure_dataset_ids = ["masks"]
""",
}
SINGLE = CLASSES["today"].replace('    extra_azure_dataset_ids = ["masks"]\n', "")
CLUSTER = "compute: {azureml: {cluster: cpu, image: i}}\n"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "lungs").mkdir()
    (tmp_path / "masks").mkdir()
    return tiny_project(tmp_path)


def job_of(project: Project, source: str, *overrides: str, target: Any = "azureml", more: str = CLUSTER) -> Job:
    project.write("foreign.py", source)
    path = project.write("job.yaml", f"schema: 1\ncontainer: {{class: Foreign, namespaces: [foreign]}}\n{more}")
    return resolve_job(path, cwd=project.root, target=target, overrides=overrides)


def inputs(job: Job) -> list[str]:
    return [one.path for one in azureml.plan_for(job, {}).inputs]


@pytest.mark.parametrize("style", CLASSES)
def test_the_classes_own_ids_are_inputs_of_the_job(project: Project, style: str) -> None:
    assert inputs(job_of(project, CLASSES[style])) == ["azureml:lungs@latest", "azureml:masks@latest"]
    words = ["--model=Foreign", "--model_configs_namespace=foreign", "--azureml", "--cluster=cpu"]
    for extra, wanted in {"": "lungs", "--azure_dataset_id=brains": "brains"}.items():
        command = translate([*words, *filter(None, [extra])])
        job = resolve_job(command.text, cwd=project.root, overrides=command.overrides, target=command.target)
        assert inputs(job) == [f"azureml:{wanted}@latest", "azureml:masks@latest"]
    assert "--dataset=${{inputs.dataset_1}}" in azureml.plan_for(job, {}).command


def test_the_command_line_wins_over_the_manifest_and_that_over_the_class(project: Project) -> None:
    more = f"{CLUSTER}dataset: {{id: 'scans:3', local: lungs, sha256: {'a' * 64}}}\n"

    def found(*overrides: str, target: str = "azureml") -> list[tuple[str, Path | None, bool]]:
        job = job_of(project, SINGLE, *overrides, target=target, more=more)
        return [(each.id, each.local, bool(each.sha256)) for each in datasets_of(job)]

    lungs, masks = project.root / "lungs", project.root / "masks"
    assert found() == [("scans:3", lungs, True)]
    assert found("--azure_dataset_id=brains") == [("brains", None, False)]
    assert found("--local_dataset=masks") == [("scans:3", masks, False)]
    assert found("--local_dataset=masks", target="process") == [("", masks, False)]
    both = found("--azure_dataset_id=b", "--local_dataset=masks", target="process")
    assert both == [("b", masks, False)]


def test_what_azureml_can_not_have_is_refused_before_the_job_is_sent(project: Project) -> None:
    local = "from innereye_runtime import LightningContainer\nclass Foreign(LightningContainer):\n"
    with pytest.raises(UsageError, match=r"the dataset .*/lungs has no id") as caught:
        inputs(job_of(project, f"{local}    local_dataset = 'lungs'\n"))
    assert "--azure_dataset_id=NAME" in caught.value.hint
    assert inputs(job_of(project, f"{local}    local_dataset = '/only/in/the/image'\n")) == []
    computed = local + "    def __init__(self):\n        super().__init__()\n"
    computed += "        self.azure_dataset_id = open('name').read()\n"
    with pytest.raises(UsageError, match="does not show azure_dataset_id"):
        inputs(job_of(project, computed))
    assert inputs(job_of(project, computed, "--azure_dataset_id=x")) == ["azureml:x@latest"]


def test_an_id_alone_is_refused_here_before_a_run_folder_is_made(project: Project) -> None:
    job = job_of(project, CLASSES["old"], target="process", more="")
    plan = process.TARGET.plan(job)
    assert plan.describe()["datasets"] == ["lungs", "masks"]
    with pytest.raises(DataError, match="'lungs' has an id but no local copy") as caught:
        process.TARGET.submit(plan, stdout=1)
    assert "--local_dataset" in caught.value.hint
    assert not (project.root / "outputs").exists()


@pytest.mark.parametrize("target", ["process", "docker", "azureml"])
def test_doctor_and_explain_show_them(project: Project, target: str, capsys: pytest.CaptureFixture[str]) -> None:
    source = CLASSES["today"] + "    local_datasets = None\n"
    project.write(
        "foreign.py",
        source.replace(
            "    local_datasets = None\n",
            f"    local_dataset = {str(project.root / 'lungs')!r}\n"
            f"    extra_local_dataset_paths = [{str(project.root / 'masks')!r}]\n",
        ),
    )
    path = project.write("job.yaml", f"schema: 1\ncontainer: {{class: Foreign, namespaces: [foreign]}}\n{CLUSTER}")
    explain.run(["--json", f"--target={target}", str(path)])
    rows = {row["name"]: (row["value"], row["origin"]) for row in json.loads(capsys.readouterr().out)["manifest"]}
    assert rows["datasets[0].id"] == ("lungs", "class")
    assert rows["datasets[1].local"] == (str(project.root / "masks"), "class")
    doctor.run(["--json", f"--target={target}", str(path)])
    told = {each["check"]: each for each in json.loads(capsys.readouterr().out)}["dataset"]
    there = ("ok", f"{project.root / 'lungs'}, {project.root / 'masks'}")
    wanted = ("skipped", "lungs, masks: needs the workspace") if target == "azureml" else there
    assert (told["status"], told["message"]) == wanted


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("extra_azure_dataset_ids = ['a', 'b']; local_dataset = '/a'", "differ in number"),
        ("extra_azure_dataset_ids = ['a']; azure_dataset_id = ''", "without azure_dataset_id"),
        ("dataset_mountpoint = 'data/x'", "absolute path"),
        ("different_seeds = 3", "one run has one seed"),
        ("regression_metrics = 'auc'", "an option of hi-ml alone"),
    ],
)
def test_what_contradicts_itself_in_the_class_is_found_by_validate(project: Project, line: str, sentence: str) -> None:
    with pytest.raises(ManifestError) as caught:
        job_of(project, f"{SINGLE}    {line}\n", target="process", more="")
    (found,) = caught.value.diagnostics
    assert found.code == "E308" and sentence in found.message and found.hint


@pytest.mark.parametrize("word", ["--number_of_cross_validation_splits=5", "--crossval_count=5", ""])
def test_splits_without_an_index_are_all_folds_at_both_doors(project: Project, word: str) -> None:
    if not word:
        tiny = (project.root / "tiny.py").read_text()
        project.write("tiny.py", f"{tiny}\n    number_of_cross_validation_splits = 5\n")
    words = [word] if word else []
    command = translate(["--model=Tiny", "--model_configs_namespace=tiny", *words])
    for source, given in ((command.text, command.overrides), (project.root / "tiny.yaml", words)):
        job = resolve_job(source, cwd=project.root, overrides=given)
        assert job.manifest.cross_validation is not None
        assert (job.manifest.cross_validation.splits, job.manifest.container.args) == (5, {})
        (again,) = {resolve_job(dump(job.manifest), cwd=project.root).manifest.cross_validation}
        assert again == job.manifest.cross_validation
        one = resolve_job(source, cwd=project.root, overrides=[*given, "--cross_validation_split_index=0"])
        assert one.manifest.cross_validation is None
        with pytest.raises(ManifestError) as caught:  # the running side runs no fold that nobody chose
            resolve_job(source, cwd=project.root, overrides=given, running=True)
        (told,) = caught.value.diagnostics
        assert "which split to run" in told.message and "--cross_validation_split_index=0" in told.hint
        overrides = [*given, "--set=compute.azureml.cluster=c", "--set=compute.azureml.image=i"]
        there = azureml.plan_for(resolve_job(source, cwd=project.root, overrides=overrides, target="azureml"), {})
        space = {"cross_validation_split_index": {"type": "choice", "values": [0, 1, 2, 3, 4]}}
        assert there.describe()["job"]["search_space"] == space


def test_a_mount_point_is_a_bind_in_docker(project: Project) -> None:
    caller = docker.HostUser(uid=1, gid=1, groups=(), memory=Memory.parse("4g"))
    more = "dataset: {local: lungs}\n"
    job = job_of(project, SINGLE, "--dataset_mountpoint=/mnt/lungs", target="docker", more=more)
    plan = docker.plan_for(job, caller)
    lungs = project.root / "lungs"
    assert docker.Bind(lungs, target=Path("/mnt/lungs")) in plan.request.binds
    assert f"{lungs} at /mnt/lungs (read-only)" in plan.describe()["mounts"]
    assert Dataset(local=lungs) in plan.datasets


def test_a_mount_point_that_can_not_be_is_refused_before_the_job_starts(project: Project) -> None:
    (project.root / "taken").mkdir()
    words = [f"--dataset_mountpoint={project.root / 'taken'}"]
    job = job_of(project, SINGLE, *words, target="process", more="dataset: {local: lungs}\n")
    with pytest.raises(DataError, match=r"dataset_mountpoint: .*something else is there") as caught:
        process.TARGET.submit(process.TARGET.plan(job), stdout=1)
    assert "--dataset_mountpoint=" in caught.value.hint
    assert not (project.root / "outputs").exists()


def test_a_link_is_there_for_the_process_and_gone_after_it(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    code = """
import sys; from pathlib import Path
from innereye_runtime.data.mount.mountpoints import link
point, folder = map(Path, sys.argv[1:])
assert link([point], [folder]) == link([point], [folder]) == [point] and point.samefile(folder)
assert link([None], [folder]) == link([], [folder]) == [folder]
"""
    point = tmp_path / "deep" / "mnt"
    subprocess.run([sys.executable, "-c", code, str(point), str(tmp_path / "data")], check=True)
    assert point.parent.is_dir() and not point.is_symlink()


def test_output_to_decides_where_the_run_folder_goes(project: Project) -> None:
    source = CLASSES["today"] + "    output_to = 'of_class'\n"
    here = project.root

    def folder(*overrides: str, more: str = "") -> Path:
        return job_of(project, source, *overrides, target="process", more=more).outputs_folder

    assert folder() == here / "of_class"
    assert folder(more="outputs: {folder: of_manifest}\n") == here / "of_manifest"
    assert folder("--output_to=given", more="outputs: {folder: of_manifest}\n") == here / "given"
    assert folder("--output_to=") == here / "outputs"
    command = translate(["--model=Tiny", "--model_configs_namespace=tiny", "--output_to=/else/where"])
    job = resolve_job(command.text, cwd=project.root, overrides=command.overrides)
    assert process.TARGET.plan(job).describe()["run_folder"] == "/else/where/<UTC start>_Tiny"
