"""A job without an image brings the source that its environment is built from."""

from __future__ import annotations

from pathlib import Path

import pytest

from innereye_runtime.errors import ImageError
from innereye_runtime.targets.azureml import environment
from innereye_runtime.targets.azureml.environment import build_context


def test_the_context_has_the_package_and_no_caches(tmp_path: Path) -> None:
    context = build_context(tmp_path / "context")
    names = {path.relative_to(context).as_posix() for path in context.rglob("*") if path.is_file()}
    assert {"Dockerfile", "pyproject.toml", "constraints.txt", "runtime/innereye_runtime/entrypoint.py"} <= names
    assert [name for name in names if "__pycache__" in name or "/." in name] == []
    assert "schema/manifest.schema.json" in names


def test_without_a_checkout_an_image_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "PARTS", (*environment.PARTS, "not-there"))
    with pytest.raises(ImageError, match=r"compute\.azureml\.image is not set"):
        build_context(tmp_path / "context")
