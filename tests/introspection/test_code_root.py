"""Four projects, each from four working directories: the same class, or the same message."""

from __future__ import annotations

from pathlib import Path

import pytest

from innereye_runtime.errors import ManifestError
from innereye_runtime.introspection.code_root import code_root
from innereye_runtime.job.resolve import resolve_job

CONTAINER = "from innereye_runtime import LightningContainer\nclass Lungs(LightningContainer):\n    pass\n"
PROJECTS = {
    "own repository": ([".git/HEAD"], "lungs/net.py", "manifests/lungs.yaml", "lungs.net"),
    "subfolder of a larger repository": (["../.git/HEAD", "../net.py"], "lungs/net.py", "deep/lungs.yaml", "lungs.net"),
    "src layout": (["pyproject.toml"], "src/lungs/net.py", "manifests/lungs.yaml", "lungs.net"),
    "src layout in a larger repository": (["../.git/HEAD"], "src/lungs/net.py", "lungs.yaml", "lungs.net"),
    "no markers": ([], "net.py", "lungs.yaml", "net"),
    "no markers, and a folder of manifests": ([], "net.py", "manifests/lungs.yaml", "net"),
}


@pytest.mark.parametrize("namespace", ["", "nowhere"])
@pytest.mark.parametrize("name", PROJECTS)
def test_the_same_answer_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, namespace: str
) -> None:
    marks, code, manifest, module = PROJECTS[name]
    project = tmp_path / "above" / "project"
    for each in (*marks, code, manifest, "other/x.txt"):
        (project / each).parent.mkdir(parents=True, exist_ok=True)
        (project / each).touch()
    (project / code).write_text(CONTAINER)
    (tmp_path / "elsewhere").mkdir()
    text = f"schema: 1\ncontainer: {{class: Lungs, namespaces: [{namespace or module}]}}\n"
    (project / manifest).write_text(text)
    answers = set()
    for cwd in (project, (project / manifest).parent, project / "other", tmp_path / "elsewhere"):
        monkeypatch.chdir(cwd)
        try:
            found = resolve_job(project / manifest, cwd=cwd).location
            answers.add(f"{found.module} {found.file}")
        except ManifestError as error:
            (told,) = error.diagnostics
            answers.add(f"{told.code} {told.message} {told.hint}")
    (answer,) = answers
    if namespace:
        assert answer.startswith("E300 ") and str(project) in answer
        assert answer.endswith(f"it is in {project / code}: write 'namespaces: [{module}]'")
    else:
        assert answer == f"{module} {project / code}"


def test_a_folder_of_projects_is_no_project(tmp_path: Path) -> None:
    for name in ("other/net.py", "mine/lungs.yaml"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    mine = tmp_path / "mine"
    assert code_root(mine / "lungs.yaml", tmp_path / "elsewhere") == code_root(None, mine) == mine
    (tmp_path / "net.py").touch()
    assert code_root(mine / "lungs.yaml", mine) == tmp_path
    assert code_root(None, mine) == mine
