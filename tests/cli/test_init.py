"""A project that `innereye-run init` writes, used as its user would: run, tested, edited, checked in CI."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.manifest.language_server import LanguageServer

from innereye_runtime.cli.main import main
from innereye_runtime.cli.scaffold.project import package_name
from innereye_runtime.job.resolve import resolve_job

ROOT = Path(__file__).resolve().parents[2]
DIRECT = ROOT / "tests" / "introspection" / "direct" / "project"
ENVIRONMENT = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home") / "small-lesions"
    before = Path.cwd()
    os.chdir(folder.parent)
    try:
        assert main(["init", "small-lesions"]) == 0
    finally:
        os.chdir(before)
    return folder


def test_it_trains_and_its_test_passes(project: Path, needs: Callable[..., None]) -> None:
    needs("torch")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    tested = subprocess.run(command, cwd=project, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert tested.returncode == 0, tested.stdout
    done = subprocess.run(
        ["innereye-run", "--json", "manifest.yaml"],
        cwd=project,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["metrics"]["test"]["test/accuracy"] > 0.8
    assert [path.parent.name for path in project.rglob("run.json")] == [Path(json.loads(done.stdout)["run"]).name]


def test_its_manifest_has_the_schema_that_an_editor_reads_from_there(project: Path, needs: Callable[..., None]) -> None:
    needs("node", "yaml-language-server")
    none = project / "none.schema.json"
    none.write_text("{}")
    text = (project / "manifest.yaml").read_text()
    with LanguageServer(ROOT / "node_modules" / ".bin" / "yaml-language-server", none) as server:
        server.folder = project
        assert server.open("manifest.yaml", text) == []
        found = server.open("mistake.yaml", text.replace("trainer:", "trainner:"))
        server.open("half.yaml", f"{text.splitlines()[0]}\nschema: 1\n\n")
        offered = server.at("completion", "half.yaml", 2, 0)
    assert ["trainner" in each["message"] for each in found] == [True]
    assert {"model", "data", "compute"} <= {item["label"] for item in offered["items"]}


def test_its_workflow_is_valid_by_the_published_schema(project: Path) -> None:
    workflow = project / ".github" / "workflows" / "test.yml"
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(workflow)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's project, in which nothing of the runtime is yet."""
    shutil.copytree(DIRECT, tmp_path / "own", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.chdir(tmp_path / "own")
    return tmp_path / "own"


def test_a_manifest_fits_the_class_that_is_named(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "--from", "my_project.unet:UNet"]) == 0
    printed = capsys.readouterr()
    assert printed.out == "innereye-run manifest.yaml\n"
    assert "kept pyproject.toml" in printed.err
    assert "look at these in the manifest first: model.args.channels, dataset.local" in printed.err
    (own / "data").mkdir()
    job = resolve_job(Path("manifest.yaml"), cwd=own)
    assert job.manifest.model is not None and job.manifest.data is not None
    assert job.manifest.model.args == {"channels": 1}
    assert job.manifest.data.class_name == "my_project.data:BrainData"
    assert job.manifest.data.args == {"root": "${dataset}"}
    # Each default that stands in a comment is one that the class takes.
    text = (own / "manifest.yaml").read_text()
    uncommented = text.replace("  #   ", "    ").replace("activation: ...", "# ...").replace("norm: ...", "# ...")
    Path("all.yaml").write_text(uncommented)
    assert len(resolve_job(Path("all.yaml"), cwd=own).manifest.model.args) > 10  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--from", "my_project.unet:UNett"], "there is no class 'UNett' in my_project.unet"),
        (["--from", "my_project.data:BrainData"], "my_project.data:BrainData is not a LightningModule"),
        (["--from", "my_project.nets:UNet"], "there is no module 'my_project.nets'"),
        (["--from", "UNet"], "'UNet' does not name a module"),
        (["--data", "my_project.data:BrainData"], "there is no --from"),
        (["pyproject.toml"], "'pyproject.toml' is not a folder"),
    ],
)
def test_a_mistake_writes_nothing(own: Path, words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = set(own.rglob("*"))
    assert main(["init", *words]) == 2
    assert told in capsys.readouterr().err
    assert set(own.rglob("*")) == before


def test_a_manifest_that_is_there_stays(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (own / "manifest.yaml").write_text("mine")
    assert main(["init"]) == 2
    assert "there is a manifest already" in capsys.readouterr().err
    assert (own / "manifest.yaml").read_text() == "mine"


@pytest.mark.parametrize(
    ("folder", "package"),
    [("lungs", "lungs"), ("Brain MRI-2", "brain_mri_2"), ("3d", "project_3d"), ("torch", "project_torch")],
)
def test_a_package_hides_no_other(folder: str, package: str) -> None:
    assert package_name(folder) == package
