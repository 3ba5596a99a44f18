"""What kinds of requirements files mean, how they compare with what is installed, and where a project's code lies."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from innereye_runtime.errors import PreflightError
from innereye_runtime.introspection.code_root import search_path
from innereye_runtime.introspection.discovery import find
from innereye_runtime.job.packages import check_installed
from innereye_runtime.job.resolve import resolve_job
from innereye_runtime.manifest.model import Packages
from innereye_runtime.packages.installed import Installed, install_command, python_mismatch, unmet
from innereye_runtime.packages.reading import read
from innereye_runtime.packages.requirement import Requirements

UV_LOCK = """\
version = 1
requires-python = ">=3.11"
[[package]]
name = "brain"
version = "0"
source = { editable = "." }
dependencies = [
    { name = "monai", extra = ["nibabel"] },
    { name = "colorama", marker = "sys_platform == 'win32'" },
]
[package.optional-dependencies]
viewer = [{ name = "napari" }]
[[package]]
name = "monai"
version = "1.6.1"
source = { registry = "https://pypi.org/simple" }
wheels = [{ url = "https://x/monai-1.6.1.whl", hash = "sha256:aa" }]
[package.optional-dependencies]
nibabel = [{ name = "nibabel" }]
[[package]]
name = "nibabel"
version = "5.4.2"
source = { registry = "https://pypi.org/simple" }
wheels = [{ url = "https://x/nibabel.whl", hash = "sha256:bb" }]
[[package]]
name = "colorama"
version = "1"
source = { registry = "https://pypi.org/simple" }
[[package]]
name = "napari"
version = "1"
source = { registry = "https://pypi.org/simple" }
"""
PYLOCK = """\
lock-version = "1.0"
requires-python = ">=3.11"
[[packages]]
name = "monai"
version = "1.6.1"
wheels = [{ url = "https://x/monai.whl", hashes = { sha256 = "aa" } }]
[[packages]]
name = "colorama"
version = "1"
marker = "sys_platform == 'win32'"
[[packages]]
name = "napari"
version = "1"
marker = "'viewer' in extras"
"""
PROJECT = """\
[project]
name = "brain"
version = "0"
requires-python = ">=3.11"
dependencies = ["monai>=1.5"]
[project.optional-dependencies]
train = ["nibabel", "Brain[viewer]"]
viewer = ["napari"]
"""
CONDA = """\
dependencies:
  - python=3.11
  - pytorch>=2.4
  - numpy=1.26
  - pip
  - pip: [monai>=1.5, "-r more.txt"]
"""


def requirements(folder: Path, name: str, text: str, *extras: str) -> Requirements:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    named = f"{name}[{','.join(extras)}]" if extras else name
    found, problems = read(Packages(requirements=folder / named))
    assert problems == ()
    return found


def texts(found: Requirements) -> list[str]:
    return [each.text for each in found.requirements]


def test_a_pip_file_has_continued_lines_comments_nested_files_options_hashes_and_wheels(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "base.txt").write_text("-c ../limits.txt\nnibabel[all]>=5 ; python_version >= '3.9'\n")
    (tmp_path / "limits.txt").write_text("numpy<3\n")
    (tmp_path / "own-1.2-py3-none-any.whl").write_bytes(b"wheel")
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    found = requirements(
        tmp_path,
        "requirements.txt",
        "\ufeff# with monai\n-rmore/base.txt\nmonai \\\n  >=1.5  # models\n--extra-index-url=https://${USER_NAME}:${TOKEN}@host/simple\n"
        "pydicom==3.0.1 --hash=sha256:aa \\\n    --hash=sha256:bb\n./own-1.2-py3-none-any.whl\n-e .[train]\n"
        "https://host/tool-1.0-py3-none-any.whl\ngit+https://host/net.git@main#egg=net\n",
    )
    assert texts(found) == [
        'nibabel[all]>=5; python_version >= "3.9"',
        "monai>=1.5",
        "pydicom==3.0.1",
        "own==1.2",
        "monai>=1.5",
        "nibabel",
        "napari",
        "tool @ https://host/tool-1.0-py3-none-any.whl",
        "net @ git+https://host/net.git@main",
    ]
    assert found.requirements[2].hashes == ("sha256:aa", "sha256:bb")
    assert found.requirements[3].wheel == tmp_path / "own-1.2-py3-none-any.whl"
    assert found.options == ("--extra-index-url https://${USER_NAME}:${TOKEN}@host/simple",)
    assert found.variables == ("TOKEN", "USER_NAME")
    assert [each.text for each in found.constraints] == ["numpy<3"]


def test_projects_locks_and_conda_files_give_the_same_kind_of_requirements(tmp_path: Path) -> None:
    assert texts(requirements(tmp_path, "pyproject.toml", PROJECT)) == ["monai>=1.5"]
    assert texts(requirements(tmp_path, "pyproject.toml", PROJECT, "train")) == ["monai>=1.5", "nibabel", "napari"]
    locked = requirements(tmp_path, "uv.lock", UV_LOCK)
    assert texts(locked) == ["monai==1.6.1", "nibabel==5.4.2"]
    assert locked.requirements[0].hashes == ("sha256:aa",)
    assert texts(requirements(tmp_path, "pylock.toml", PYLOCK)) == [
        "monai==1.6.1",
        'colorama==1; sys_platform == "win32"',
    ]
    (tmp_path / "more.txt").write_text("nibabel\n")
    conda = requirements(tmp_path, "environment.yml", CONDA)
    assert texts(conda) == ["torch>=2.4", "numpy==1.26.*", "monai>=1.5", "nibabel"]
    assert conda.python == "==3.11.*"
    assert "is for Python ==3.11.*, and this is 3.12.1" in python_mismatch(conda, "3.12.1")
    assert python_mismatch(conda, "3.11.9") == ""


def test_what_is_missing_or_too_old_is_listed_with_the_command_that_installs_it(tmp_path: Path) -> None:
    there: dict[str, tuple[str, tuple[str, ...]]] = {
        "monai": ("1.4.0", ()),
        "nibabel": ("5.0", ("pydicom>=3; extra == 'dicom'",)),
        "numpy": ("2.0", ()),
    }
    look: Installed = there.get
    (tmp_path / "c.txt").write_text("numpy<2\n")
    text = "monai>=1.5\nnibabel[dicom]\nnumpy\ncolorama; sys_platform == 'win32'\n-c c.txt\n"
    found = requirements(tmp_path, "r.in", text)
    lacks = unmet(found, look)
    assert [(lack.requirement.text, lack.installed) for lack in lacks] == [
        ("monai>=1.5", "1.4.0"),
        ("numpy", "2.0"),
        ("pydicom>=3", None),
    ]
    assert install_command(found, lacks) == f"{sys.executable} -m pip install -r {tmp_path}/r.in"
    listed, _ = read(Packages(requirements=("monai>=1.5", "nothing-of-that-name")))
    command = install_command(listed, unmet(listed, look))
    assert command == f"{sys.executable} -m pip install 'monai>=1.5' nothing-of-that-name"
    with pytest.raises(PreflightError, match=r"nothing-of-that-name \(not installed; packages.requirements\[1\]\)"):
        check_installed(listed)


def test_a_project_with_a_layout_of_its_own_is_importable_without_an_install(tmp_path: Path) -> None:
    layouts = {
        "src": "[project]\nname = 'brain'\n",
        "lib": "[tool.setuptools.packages.find]\nwhere = ['lib']\n",
        "python": "[tool.hatch.build.targets.wheel]\npackages = ['python/brain']\n",
        "code": "[tool.setuptools.package-dir]\n'' = 'code'\n",
    }
    for folder, text in layouts.items():
        project = tmp_path / folder
        (project / folder / "brain").mkdir(parents=True)
        (project / "manifests").mkdir()
        (project / "pyproject.toml").write_text(text)
        (project / folder / "brain" / "training.py").write_text("class Brain: ...\n")
        places = search_path(project / "manifests" / "job.yaml", project)
        assert places == (project, project / folder, project / "manifests"), folder
        assert find("brain.training:Brain", (), places).file == project / folder / "brain" / "training.py"
    outside = tmp_path / "outside"
    (outside / "src").mkdir(parents=True)
    (outside / "pyproject.toml").write_text("[tool.setuptools.packages.find]\nwhere = ['../src', '/etc']\n")
    assert search_path(outside / "job.yaml", outside) == (outside, outside / "src")


def test_an_import_that_packages_provide_is_not_warned_of_and_the_running_side_reads_no_file(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "mine.py").write_text(
        "import not_installed_here\nfrom innereye_runtime import LightningContainer\n"
        "class Mine(LightningContainer): ...\n"
    )
    manifest = tmp_path / "job.yaml"
    manifest.write_text("schema: 1\ncontainer: {class: 'mine:Mine'}\n")
    assert [each.code for each in resolve_job(manifest, cwd=tmp_path).warnings] == ["W311"]
    manifest.write_text(manifest.read_text() + "packages: {requirements: [Not.Installed_here>=1]}\n")
    job = resolve_job(manifest, cwd=tmp_path)
    assert job.warnings == ()
    assert job.requirements is not None
    manifest.write_text("schema: 1\ncontainer: {class: 'mine:Mine'}\npackages: {requirements: gone.txt}\n")
    assert resolve_job(manifest, cwd=tmp_path, running=True).requirements is None
