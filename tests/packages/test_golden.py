"""Every manifest in golden/, and what a user reads about its `packages`. `GOLDEN=write` writes the texts anew."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from innereye_runtime.diagnostics.codes import TITLES
from innereye_runtime.diagnostics.rendering import render
from innereye_runtime.errors import ManifestError
from innereye_runtime.job.resolve import resolve_job

GOLDEN = Path(__file__).parent / "golden"
CASES = sorted(GOLDEN.glob("*.yaml"))


def told(path: Path, folder: Path) -> ManifestError:
    shutil.copytree(GOLDEN / "files", folder, dirs_exist_ok=True)
    place = folder / path.name
    place.write_bytes(path.read_bytes())
    with pytest.raises(ManifestError) as raised:
        resolve_job(place, cwd=folder, target="docker")
    return raised.value


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_packages_that_cannot_be_used_are_told_as_the_golden_file_says(path: Path, tmp_path: Path) -> None:
    text = render(told(path, tmp_path).diagnostics, "text").replace(str(tmp_path), "PROJECT")
    expected = path.with_suffix(".txt")
    if os.environ.get("GOLDEN") == "write":
        expected.write_text(text)
    assert text == expected.read_text()


def test_every_code_of_packages_is_met_and_no_password_shown(tmp_path: Path) -> None:
    found = [diagnostic for path in CASES for diagnostic in told(path, tmp_path).diagnostics]
    assert {each.code for each in found} >= {code for code in TITLES if code.startswith("E5")}
    assert not any("hunter2" in each.message + each.hint for each in found)
