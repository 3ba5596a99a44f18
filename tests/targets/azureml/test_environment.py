"""A job without an image brings the source that its environment is built from."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from innereye_runtime.errors import ImageError
from innereye_runtime.targets import source_tree
from innereye_runtime.targets.azureml.environment import BASE, base_image, build_context


def test_the_context_has_the_package_and_no_caches(tmp_path: Path) -> None:
    context = build_context(tmp_path / "context")
    names = {path.relative_to(context).as_posix() for path in context.rglob("*") if path.is_file()}
    assert {"Dockerfile", "pyproject.toml", "constraints.txt", "runtime/innereye_runtime/entrypoint.py"} <= names
    hidden = [name for name in names if "__pycache__" in name or "/." in name]
    assert sorted(hidden) == ["images/wheels/cpu/.gitignore", "images/wheels/gpu/.gitignore"]
    assert "schema/manifest.schema.json" in names


def test_all_that_pip_downloads_has_a_hash_and_the_base_may_have_a_digest(tmp_path: Path) -> None:
    context = build_context(tmp_path / "context", "python:3.11@sha256:0123")
    first, *rest = (context / "Dockerfile").read_text().replace("\\\n", "").splitlines()
    assert first == "FROM python:3.11@sha256:0123"
    commands = [one.strip() for line in rest for one in line.removeprefix("RUN ").split("&&") if "pip " in one]
    assert len(commands) == 5
    for command in commands:
        assert re.search(r"--require-hashes|--no-index|pip check", command), command
        for lock in re.findall(r"-r /opt/innereye-runtime/source/(\S+)", command):
            lines = (context / lock).read_text().replace("\\\n", "").splitlines()
            pinned = [line for line in lines if line and not line.startswith("#")]
            assert pinned and all("==" in line and "--hash=sha256:" in line for line in pinned), lock
    assert base_image({}) == BASE
    assert base_image({"INNEREYE_AZUREML_BASE": "mine@sha256:1"}) == "mine@sha256:1"


def test_a_package_that_carries_no_source_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_tree, "PACKAGE", tmp_path / "site-packages" / "innereye_runtime")
    with pytest.raises(ImageError, match="does not carry the files that an image is built from") as raised:
        build_context(tmp_path / "context")
    assert "compute.azureml.image" in raised.value.hint
