from __future__ import annotations

from pathlib import Path

import pytest

from innereye_runtime import entrypoint
from innereye_runtime.job.bundled import VARIABLE, ends_with_container, find_manifest


def test_the_working_directory_comes_first_and_an_absolute_path_is_itself(tmp_path: Path) -> None:
    image, cwd = tmp_path / "image", tmp_path / "cwd"
    for folder in (image, cwd):
        folder.mkdir()
    named, environment = Path("hello.yaml"), {VARIABLE: str(image)}

    def found(path: Path) -> tuple[Path, bool]:
        result = find_manifest(path, cwd=cwd, environment=environment)
        return result.path, result.shipped

    assert found(named) == (cwd / named, False)
    (image / named).touch()
    assert found(named) == (image / named, True)
    assert found(cwd / named) == (cwd / named, False)
    assert find_manifest(named, cwd=cwd, environment={}).shipped is False
    (cwd / named).touch()
    assert found(named) == (cwd / named, False)


@pytest.mark.parametrize(
    ("mounted", "inside", "ends"),
    [("/workspace", True, False), ("/workspace/outputs", True, False), ("/", True, True), ("/workspace", False, False)],
)
def test_a_run_that_lies_in_no_mounted_folder_ends_with_its_container(mounted: str, inside: bool, ends: bool) -> None:
    environment = {VARIABLE: "/opt/innereye-runtime"} if inside else {}
    run = Path("/workspace/outputs/2026-11-24T101530Z_Lungs")
    assert ends_with_container(run, environment, is_mount=lambda path: path == Path(mounted)) is ends


def test_the_image_without_a_word_shows_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert entrypoint.main([]) == 2
    shown = capsys.readouterr()
    assert "innereye-runtime [options] MANIFEST" in shown.out and not shown.err
