"""Run folders: their names, and that no two starts share one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from innereye_runtime.errors import PreflightError
from innereye_runtime.run.paths import create_run_folder, run_name

NOON = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)


def test_the_name_is_the_start_in_utc_and_the_model() -> None:
    tokyo = datetime(2026, 11, 24, 19, 15, 30, tzinfo=timezone(timedelta(hours=9)))
    assert run_name("HelloContainer", tokyo) == "2026-11-24T101530Z_HelloContainer"


def test_starts_in_one_second_never_share_a_folder(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: create_run_folder(tmp_path / "outputs", "M", NOON).root, range(40)))
    assert len(set(made)) == 40
    assert all(folder.is_dir() and folder.name.startswith("2026-11-24T120000Z_M") for folder in made)


@pytest.mark.parametrize(("place", "reason"), [("file", "it is a file"), ("file/below", "Not a directory")])
def test_outputs_that_can_not_be_a_folder_are_told(tmp_path: Path, place: str, reason: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PreflightError, match=f"no run folder can be made in .*: {reason}"):
        create_run_folder(tmp_path / place, "M", NOON)
