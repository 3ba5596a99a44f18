"""The site builds with no warning, loads nothing from elsewhere, and its reference has all that the program has."""

from __future__ import annotations

import html
import json
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.docs.pages import DOCS, ROOT

import innereye_runtime
from innereye_runtime.cli.main import COMMANDS
from innereye_runtime.diagnostics import codes
from innereye_runtime.errors import ExitCode


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, needs: Callable[..., None]) -> Path:
    """The site, built as `make docs` does."""
    needs("mkdocs")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return folder


def text_of(page: Path) -> str:
    return html.unescape(re.sub(r"<[^>]+>", "", page.read_text()))


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    loaded = re.compile(r"<(?:script|img|iframe|link)\b[^>]*?(?:src|href)=\"?((?:https?:)?//[^\s\">]+)")
    for page in site.rglob("*.html"):
        assert [url for url in loaded.findall(page.read_text()) if "canonical" not in url] == [], page
    for style in site.rglob("*.css"):
        assert re.findall(r"(?:url\(|@import )['\"]?(?:https?:)?//[^)]+", style.read_text()) == [], style


def test_no_mark_is_left_over(site: Path) -> None:
    assert [page for page in site.rglob("*.html") if "generated:" in page.read_text()] == []


def test_every_key_of_the_schemas_is_in_the_reference(site: Path) -> None:
    for page, name in (("manifest", "manifest"), ("run-folder", "run")):
        schema = json.loads((ROOT / "schema" / f"{name}.schema.json").read_text())
        shown = text_of(site / "reference" / f"{page}.html")
        keys = set(keys_of(schema, schema))
        assert len(keys) > 20
        assert [key for key in keys if not re.search(rf"\b{re.escape(key)}\b", shown)] == []


def keys_of(schema: Any, root: Any) -> Iterator[str]:
    """The names of properties anywhere in a schema."""
    if isinstance(schema, dict):
        for key, value in schema.items():
            if key == "properties":
                yield from value
            yield from keys_of(value, root)
    elif isinstance(schema, list):
        for one in schema:
            yield from keys_of(one, root)


def test_every_command_code_and_public_name_is_in_the_reference(site: Path) -> None:
    command_line = text_of(site / "reference" / "command-line.html")
    assert [name for name in COMMANDS if f"Usage: innereye-run {name}" not in command_line] == []
    exit_codes = text_of(site / "reference" / "exit-codes.html")
    assert [code for code in ExitCode if not re.search(rf"\b{int(code)}\b", exit_codes)] == []
    error_codes = text_of(site / "reference" / "error-codes.html")
    of_arguments = [f"E{family}{number:02}" for family in (3, 4) for number in range(10)]
    assert [code for code in [*codes.TITLES, *of_arguments] if f"{code}" not in error_codes] == []
    api = text_of(site / "reference" / "container-api.html")
    public = [name for name in innereye_runtime.__all__ if not name.startswith("_")]
    assert [name for name in public if name not in api] == []
    parameters = text_of(site / "reference" / "parameters.html")
    assert [name for name in ("num_epochs", "l_rate", "random_seed", "local_dataset") if name not in parameters] == []


def test_a_variable_that_is_not_described_ends_the_build(needs: Callable[..., None]) -> None:
    needs("mkdocs")
    generate = runpy.run_path(str(DOCS / "generate.py"))
    del generate["TEXTS"]["variables"]["INNEREYE_DATASTORE"]
    with pytest.raises(Exception, match="INNEREYE_DATASTORE"):
        generate["environment_variables"]()


def test_the_picture_of_the_architecture_is_that_of_its_script() -> None:
    drawn = runpy.run_path(str(DOCS / "architecture.py"))["drawing"]()
    assert (DOCS / "images" / "architecture.svg").read_text() == drawn


def test_pictures_are_small() -> None:
    pictures = list((DOCS / "images").iterdir())
    assert pictures
    assert [picture for picture in pictures if picture.stat().st_size > 300_000] == []
