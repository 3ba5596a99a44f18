"""The code that goes with a job: the project's own files, no more, and nothing that a link leads to."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.projects import tiny_project
from tests.targets.azureml.conftest import MANIFEST

from innereye_runtime.errors import UsageError
from innereye_runtime.job.resolve import resolve_job
from innereye_runtime.targets.azureml import snapshot
from innereye_runtime.targets.azureml.local_files import refuse_missing
from innereye_runtime.targets.azureml.plan import plan_for
from innereye_runtime.targets.azureml.snapshot import Snapshot, take_snapshot

Tree = Callable[..., Path]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    def make(*names: str, git: bool = True) -> Path:
        root = tmp_path / "project"
        for name in names:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(name)
        if git:
            subprocess.run(["git", "init", "-q", str(root)], check=True)
        return root

    return make


def taken(root: Path) -> Snapshot:
    return take_snapshot(root, without=root / "outputs")


def names(root: Path) -> list[str]:
    return [name for name, _ in taken(root).files]


def test_what_git_tracks_or_does_not_ignore_is_taken(tree: Tree) -> None:
    root = tree("a.py", "pkg/b.py", "secret.pyc", "forced.log", "outputs/old/run.json", "gone.py")
    (root / ".gitignore").write_text("*.pyc\n*.log\n")
    subprocess.run(["git", "-C", str(root), "add", "-f", "a.py", "forced.log", "gone.py"], check=True)
    (root / "gone.py").unlink()
    assert names(root) == [".gitignore", "a.py", "forced.log", "pkg/b.py"]


def test_what_git_ignores_is_left_out_of_a_repository_of_another_user(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tree("a.py", "secret.key")
    (root / ".gitignore").write_text("*.key\n")
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    assert names(root) == [".gitignore", "a.py"]


def test_a_repository_that_git_cannot_list_is_not_sent(tree: Tree) -> None:
    root = tree("a.py", "secret.key")
    (root / ".git" / "index").write_text("no index")
    with pytest.raises(UsageError, match=r"is in a git repository, and its files can't be listed: .*[a-z]"):
        taken(root)


def test_gitignore_and_amlignore_hold_where_git_is_not_installed(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    root = tree("a.py", "big.bin", "pkg/x.log", "pkg/kept.log", "pkg/deep/y.tmp", "build/z.py", "docs/d.md")
    (root / ".gitignore").write_text("*.log\n/build/\n")
    (root / "pkg" / ".gitignore").write_text("!kept.log\ndeep/*.tmp\n")
    (root / ".amlignore").write_text("*.bin\ndocs/\n")
    with_git = names(root)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert names(root) == with_git == [".amlignore", ".gitignore", "a.py", "pkg/.gitignore", "pkg/kept.log"]


@pytest.mark.parametrize("git", [True, False])
def test_what_looks_like_a_secret_is_left_out_and_listed_unless_it_is_named(tree: Tree, git: bool) -> None:
    secrets = (".env", ".ssh/config", "conf/id_rsa", "conf/my.pem", "credentials.json", "sub/.netrc")
    root = tree("a.py", ".env.example", "credentials.py", *secrets, git=git)
    found = taken(root)
    assert [name for name, _ in found.files] == [".env.example", "a.py", "credentials.py"]
    assert found.left_out == tuple(
        f"{name}: looks like a secret; a line !{name} in .amlignore sends it" for name in sorted(secrets)
    )
    (root / ".amlignore").write_text("!conf/my.pem\n")
    assert "conf/my.pem" in names(root)
    assert len(taken(root).left_out) == len(secrets) - 1


def test_amlignore_takes_files_out_tracked_or_not(tree: Tree) -> None:
    root = tree("a.py", "big.bin", "docs/b.md", "c.md")
    (root / ".amlignore").write_text("*.bin\ndocs/\n")
    subprocess.run(["git", "-C", str(root), "add", "big.bin"], check=True)
    assert names(root) == [".amlignore", "a.py", "c.md"]


def test_without_git_all_but_caches_is_taken(tree: Tree) -> None:
    root = tree("a.py", "pkg/__pycache__/a.pyc", ".venv/bin/x", "pkg/b.py", "outputs/x", git=False)
    assert names(root) == ["a.py", "pkg/b.py"]


def test_a_submodule_is_taken_with_its_files(tree: Tree) -> None:
    root = tree("a.py", "sub/b.py")
    subprocess.run(["git", "init", "-q", str(root / "sub")], check=True)
    assert names(root) == ["a.py", "sub/b.py"]


@pytest.mark.parametrize("git", [True, False])
def test_links_inside_become_copies_and_links_out_are_left_out(tree: Tree, tmp_path: Path, git: bool) -> None:
    root = tree("pkg/b.py", git=git)
    (tmp_path / "private.txt").write_text("private")
    (root / "file.py").symlink_to("pkg/b.py")
    (root / "folder").symlink_to("pkg")
    (root / "out.txt").symlink_to(tmp_path / "private.txt")
    (root / "loop").symlink_to(".")
    (root / "dangling").symlink_to("nowhere")
    (root / "root").symlink_to("/")
    found = taken(root)
    assert [name for name, _ in found.files if not name.startswith("loop/")] == [
        "file.py",
        "folder/b.py",
        "pkg/b.py",
    ]
    assert {reason.split(":")[0] for reason in found.left_out} == {"out.txt", "dangling", "root"}
    found.copy_to(tmp_path / "copy")
    assert not [path for path in (tmp_path / "copy").rglob("*") if path.is_symlink()]
    assert (tmp_path / "copy" / "folder" / "b.py").read_text() == "pkg/b.py"


def test_the_sdk_gets_no_ignore_file_that_would_take_more_out(tree: Tree, tmp_path: Path) -> None:
    root = tree("a.py")
    (root / ".gitignore").write_text("*.key\n")
    taken(root).copy_to(tmp_path / "copy")
    assert (tmp_path / "copy" / ".amlignore").read_text() == ""


def test_too_much_code_is_refused_with_the_largest_files(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tree("a.py", "weights.bin")
    (root / "weights.bin").write_bytes(b"x" * (3 << 20))
    monkeypatch.setattr(snapshot, "LARGEST_BYTES", 2 << 20)
    with pytest.raises(UsageError, match=r"the code has 3 MB, more than the 2 MB .* weights.bin \(3 MB\)"):
        taken(root).check_size()


@pytest.mark.parametrize("git", [True, False])
def test_a_folder_with_more_than_code_has_is_named_with_the_line_that_leaves_it_out(tree: Tree, git: bool) -> None:
    scans = [f"data/scans/{patient}/{number}.txt" for patient in ("a", "b") for number in range(501)]
    root = tree("a.py", "data/list.csv", "pkg/weights/w.bin", "pkg/b.py", *scans, git=git)
    (root / "pkg/weights/w.bin").write_bytes(b"x" * (51 << 20))
    told = list(taken(root).large_folders())
    assert [each.partition("; ")[0] for each in told] == [
        "data/scans/: 1,002 files, 0 MB of the code",
        "pkg/weights/: 1 file, 53 MB of the code",
    ]
    lines = [line for each in told for line in each.split("'")[1::2]]
    (root / (".gitignore" if git else ".amlignore")).write_text("\n".join(lines))
    assert list(taken(root).large_folders()) == []
    assert [name for name in names(root) if not name.startswith(".")] == ["a.py", "data/list.csv", "pkg/b.py"]


def test_a_thousand_files_beside_each_other_are_the_projects_own_folder(tree: Tree) -> None:
    root = tree(*(f"{number}.txt" for number in range(1001)), git=False)
    assert list(taken(root).large_folders()) == [
        "the project's own folder: 1,001 files, 0 MB of the code; name in .gitignore or .amlignore what is not code"
    ]


def test_listing_ends_where_nobodys_code_has_so_many_files(
    tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "LARGEST_COUNT", 20)
    root = tree("a.py", *(f"data/{number}.txt" for number in range(30)), git=False)
    with pytest.raises(UsageError, match=r"more than 20 files that would go with a job, 20 of them in data/") as caught:
        taken(root)
    assert "a line '/data/' in .amlignore" in caught.value.hint


@pytest.mark.parametrize("name", ["with space.py", "ümlaut.py", "new\nline.py", "-dash.py", "quote'.py"])
def test_any_name_is_taken(tree: Tree, name: str) -> None:
    assert names(tree(name)) == [name]


def test_a_file_that_an_argument_names_is_part_of_the_code_or_refused(tmp_path: Path) -> None:
    project = tiny_project(tmp_path, MANIFEST)
    for name in ("weights/a.ckpt", "outputs/run/checkpoints/best.ckpt", "ignored/b.ckpt"):
        project.write(name, "weights")
    project.write(".gitignore", "ignored\n")

    def missing(*overrides: str) -> str:
        job = resolve_job(project.root / "tiny.yaml", cwd=project.root, overrides=overrides, target="azureml")
        plan = plan_for(job, {})
        places = [place for place, _ in take_snapshot(plan.code, without=plan.outputs_folder).files]
        try:
            refuse_missing(plan.named_files, plan.code, places)
        except UsageError as error:
            return str(error).partition(" is not part of the job's code")[0].replace(str(project.root), "ROOT")
        return ""

    project.write("tiny.yaml", MANIFEST.replace("Tiny,", "Tiny, args: {local_weights_path: [weights/a.ckpt]},"))
    assert missing() == ""
    project.write("tiny.yaml", MANIFEST.replace("Tiny,", "Tiny, args: {local_weights_path: [ignored/b.ckpt]},"))
    assert missing() == "local_weights_path: ROOT/ignored/b.ckpt"
    project.write("tiny.yaml", MANIFEST)
    assert missing("--src_checkpoint=weights/a.ckpt") == ""
    assert missing("--local_weights_path=./weights/a.ckpt") == ""
    assert missing("--regression_test_folder=weights") == ""
    assert missing("--regression_test_folder=outputs/run") == "regression_test_folder: ROOT/outputs/run"
    assert missing("--local_weights_path=/in/the/image.ckpt") == ""
    assert missing("--src_checkpoint=https://example.org/a.ckpt") == ""
    assert missing("--src_checkpoint=outputs/run:best.ckpt") == "", "it is an input of the job"
    assert missing("--local_weights_path=ignored/b.ckpt") == "local_weights_path: ROOT/ignored/b.ckpt"
    assert missing(f"--local_weights_path={project.root / 'weights/a.ckpt'}").startswith("local_weights_path")
