from __future__ import annotations

from pathlib import Path

from innereye_runtime.job.bundled import VARIABLE, find_manifest


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
