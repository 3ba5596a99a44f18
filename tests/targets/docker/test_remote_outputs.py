"""A run in a container whose folder is copied to a blob store by its launcher, outside of the container."""

from __future__ import annotations

import json
from pathlib import Path

from tests.data.conftest import azurite, container
from tests.data.store import Container
from tests.projects import MANIFEST, tiny_project
from tests.targets.docker.conftest import Engine

from innereye_runtime.data.sources.blobs import BlobUrl
from innereye_runtime.run.blob_store import BlobStore
from innereye_runtime.run.output_manifest import verify
from innereye_runtime.run.staged_restore import restore

__all__ = ["azurite", "container"]


def test_the_launcher_copies_and_the_container_has_no_credentials(
    engine: Engine, container: Container, tmp_path: Path
) -> None:
    project = tiny_project(tmp_path / "project", f"{MANIFEST}outputs: {{folder: '{container.url('runs')}'}}\n")
    project.write(
        "tiny.py",
        (project.root / "tiny.py")
        .read_text()
        .replace(
            'Path("report.txt").write_text("all is well")',
            'Path("report.txt").write_text(str([name for name in os.environ if name.startswith("AZURE_")]))',
        ),
    )
    result = project.run("--target", "docker", "tiny.yaml", "--num_epochs=2")
    assert result.exit_code == 0, result.stderr
    assert (result.run / "report.txt").read_text() == "[]"
    store = BlobStore(BlobUrl.parse(container.url(f"runs/{result.run.name}")))
    restore(tmp_path / "restored", store)
    (tmp_path / "restored" / "outputs.json").write_bytes(store.read_bytes("outputs.json"))
    assert verify(tmp_path / "restored") == () == verify(result.run)
    planned = json.loads(project.run("plan", "--target", "docker", "tiny.yaml", "--json").stdout)
    assert planned["copied_to"] == f"{container.url('runs')}/<UTC start>_Tiny"
    assert "AZURE" not in json.dumps(planned)
    assert engine.names() == []
