"""What the manifest says of a job, as the service gets it: data, settings, secrets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.projects import Project
from tests.targets.azureml.conftest import IMAGE, MANIFEST, address_in, azure, newest

pytestmark = pytest.mark.usefixtures("image")

SETTINGS = f"""\
schema: 1
name: my trial
container: {{class: Tiny, namespaces: [tiny], args: {{width: 3}}}}
trainer: {{num_epochs: 1}}
compute:
  shm_size: 100m
  max_duration: 1h
  azureml:
    cluster: cpu
    image: "{IMAGE}"
    experiment: trials
    instance_type: large
    identity: user
    tags: {{project: lungs}}
environment: {{OMP_NUM_THREADS: "1"}}
secrets: [API_KEY]
"""


def test_the_service_gets_each_setting_and_the_job_its_secrets(project: Project, cloud: Any) -> None:
    project.write("tiny.yaml", SETTINGS)
    missing = azure(project, cloud)
    assert missing.exit_code == 3 and "API_KEY" in missing.stderr
    environment = {**cloud.environment(), "API_KEY": "hunter2"}
    plan = project.run("plan", "--target", "azureml", "--json", "tiny.yaml", environment=environment)
    assert "hunter2" not in plan.stdout
    result = project.run("--target", "azureml", "tiny.yaml", environment=environment)
    assert result.exit_code == 0, result.stderr
    files = [path for path in result.run.rglob("*") if path.is_file()]
    assert [path for path in files if b"hunter2" in path.read_bytes()] == []
    job = newest(cloud)
    sent = job.properties
    assert (sent["displayName"], sent["experimentName"], job.compute) == ("my trial", "trials", "cpu")
    assert sent["resources"].items() >= {"instanceCount": 1, "instanceType": "large", "shmSize": "100m"}.items()
    assert (sent["identity"], sent["limits"]["timeout"]) == ({"identityType": "UserIdentity"}, "PT1H")
    assert sent["environmentVariables"] == {"OMP_NUM_THREADS": "1", "API_KEY": "hunter2"}
    assert sent["tags"].items() >= {"project": "lungs", "model": "Tiny", "manifest": "tiny.yaml"}.items()
    assert sent["tags"]["innereye-runtime.run"] == Path(result.run).name


DATASETS = """\
datasets:
  - {id: scans, local: data/scans}
  - {id: "scans:7", local: data/scans, mode: download}
  - {id: masks, local: data/masks}
  - {id: raw/masks, local: data/masks, mode: download}
  - {id: "azure://emulatorstore/atlases/brain/t1", local: data/atlas}
"""


def test_a_dataset_is_an_asset_or_a_folder_of_the_datastore_or_a_url(project: Project, cloud: Any) -> None:
    for name in ("scans", "masks", "atlas"):
        project.write(f"data/{name}/a/b.txt", name)
    project.write("data/old/a/b.txt", "old")
    project.write("tiny.yaml", MANIFEST.replace("cluster: cpu", "cluster: cpu, datastore: imaging") + DATASETS)
    workspace = cloud.workspace
    cloud.add_data("scans", project.root / "data/old", version="6")
    cloud.add_data("scans", project.root / "data/scans", version="7")
    workspace.add_datastore("imaging", "imaging")
    workspace.blobs.create_container("atlases")
    for container, blob, content in (
        ("imaging", "masks/a/b.txt", b"masks"),
        ("imaging", "raw/masks/a/b.txt", b"masks"),
        ("atlases", "brain/t1/a/b.txt", b"atlas"),
    ):
        workspace.blobs.get_blob_client(container, blob).upload_blob(content)
    here, there = project.run("tiny.yaml", "--num_epochs=1"), azure(project, cloud, "--num_epochs=1")
    assert there.exit_code == 0, there.stderr
    found, expected = there.record["datasets"], here.record["datasets"]
    assert [dataset["sha256"] for dataset in found] == [dataset["sha256"] for dataset in expected]
    inputs = newest(cloud).inputs
    assert [inputs[f"dataset_{index}"]["uri"].removeprefix(workspace.id) for index in range(5)] == [
        "/data/scans/versions/7",
        "/data/scans/versions/7",
        "azureml://datastores/imaging/paths/masks",
        "azureml://datastores/imaging/paths/raw/masks",
        "wasbs://atlases@emulatorstore.blob.core.windows.net/brain/t1",
    ]
    assert [inputs[f"dataset_{index}"]["mode"] for index in range(5)] == [
        "ReadOnlyMount",
        "Download",
        "ReadOnlyMount",
        "Download",
        "ReadOnlyMount",
    ]
    output = newest(cloud).outputs["run"]
    assert output["uri"].startswith("azureml://datastores/imaging/paths/innereye-runtime/trials/")
    assert output["mode"] == "ReadWriteMount"
    blobs = workspace.blobs.get_container_client("imaging").list_blob_names(name_starts_with="innereye-runtime/")
    assert any(name.endswith("/outputs.json") for name in blobs)


@pytest.mark.parametrize(
    ("id", "told"),
    [
        ("nowhere", "no data asset nowhere and no folder nowhere in workspaceblobstore"),
        ("nowhere:2", "no data asset nowhere:2\n"),
        ("no/where", "no folder no/where in workspaceblobstore"),
    ],
)
def test_a_dataset_that_is_not_in_the_workspace_is_said_before_a_job_is_made(
    project: Project, cloud: Any, id: str, told: str
) -> None:
    project.write("data/b.txt", "x")
    project.write("tiny.yaml", MANIFEST + f'dataset: {{id: "{id}", local: data}}\n')
    before = len(cloud.workspace.jobs)
    result = azure(project, cloud)
    assert (result.exit_code, len(cloud.workspace.jobs)) == (5, before)
    assert f"has {told}" in result.stderr
    assert "Traceback" not in result.stderr
    assert not list((project.root / "outputs").iterdir())


def test_a_datastore_that_is_not_there_is_told_in_a_line(project: Project, cloud: Any) -> None:
    project.write("tiny.yaml", MANIFEST.replace("cluster: cpu", "cluster: cpu, datastore: nowhere"))
    before = len(cloud.workspace.jobs)
    result = azure(project, cloud)
    assert (result.exit_code, "Traceback" in result.stderr) == (3, False)
    assert "datastore nowhere" in result.stderr
    assert len(cloud.workspace.jobs) == before
    assert not (project.root / "outputs").exists()


READING = """

class Reading(Tiny):
    def setup(self):
        super().setup()
        names = ("labels", "weights", "earlier")
        labels, weights, earlier = (Path(os.environ[f"AZURE_ML_INPUT_{name}"]) for name in names)
        table = Path(os.environ["AZURE_ML_OUTPUT_table"])
        (checkpoint,) = [weights] if weights.is_file() else weights.rglob("*.ckpt")
        self.local_weights_path = [checkpoint]
        digests = [hashlib.sha256(file.read_bytes()).hexdigest() for file in (checkpoint, earlier / "best.ckpt")]
        (table / "deep").mkdir(parents=True)
        (table / "deep" / "rows.csv").write_text(f"{labels.read_text()},{digests[0]},{digests[1]}")
"""


def test_a_job_reads_a_file_a_model_and_an_earlier_output_and_writes_an_output(project: Project, cloud: Any) -> None:
    project.write("tiny.yaml", f"{MANIFEST}outputs: {{register: {{name: kidneys}}}}\n")
    first = azure(project, cloud, "--num_epochs=1")
    assert first.exit_code == 0, first.stderr
    workspace, earlier = cloud.workspace, newest(cloud)
    workspace.blobs.get_container_client(workspace.store).upload_blob("labels/rows.csv", b"left,right")
    labels = {"dataType": "uri_file", "dataUri": workspace.datastore_uri("labels/rows.csv"), "isAnonymous": False}
    workspace.put("data", "sides", "1", {**labels, "isArchived": False, "tags": {}, "properties": {}})

    inputs = (
        "inputs: {labels: {type: uri_file, path: 'azureml:sides@latest'}, "
        "weights: {type: custom_model, path: 'azureml:kidneys@latest'}, "
        f"earlier: {{path: 'azureml://jobs/{earlier.name}/outputs/run/paths/checkpoints/'}}}}, outputs: {{table: {{}}}}"
    )
    manifest = MANIFEST.replace("class: Tiny", "class: Reading").replace("cluster: cpu", f"cluster: cpu, {inputs}")
    project.write("tiny.yaml", manifest)
    source = (project.root / "tiny.py").read_text()
    project.write("tiny.py", f"{source}{READING}".replace("import os\n", "import hashlib\nimport os\n", 1))
    second = azure(project, cloud, "--num_epochs=1")
    assert second.exit_code == 0, second.stderr
    sent = newest(cloud).inputs
    assert [sent[name]["jobInputType"] for name in ("labels", "weights", "earlier")] == [
        "uri_file",
        "custom_model",
        "uri_folder",
    ]
    home = project.run("download", address_in(second.stderr), "--to", "home", environment=cloud.environment())
    assert home.exit_code == 0, home.stderr
    digest = next(
        entry["sha256"]
        for entry in json.loads((first.run / "outputs.json").read_text())["files"]
        if entry["path"] == "checkpoints/best.ckpt"
    )
    rows = (Path(f"{home.run}.table") / "deep" / "rows.csv").read_text()
    assert rows == f"left,right,{digest},{digest}"
    assert second.weights != first.weights  # it began with the model's
