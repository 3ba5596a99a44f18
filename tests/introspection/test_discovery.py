from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import innereye_runtime
from innereye_runtime.errors import ExitCode
from innereye_runtime.introspection.code_root import code_root, search_path
from innereye_runtime.introspection.discovery import DiscoveryError, find, load
from innereye_runtime.introspection.static.class_reader import read

CLASS = "class {}:\n    pass\n"


@pytest.mark.parametrize("mark", [".git", "pyproject.toml", "setup.py", "setup.cfg"])
def test_the_code_root_is_the_nearest_marked_folder_above_the_manifest(tmp_path: Path, mark: str) -> None:
    (tmp_path / "code" / "manifests").mkdir(parents=True)
    (tmp_path / "code" / mark).touch()
    manifest = tmp_path / "code" / "manifests" / "m.yaml"
    assert code_root(manifest, tmp_path) == tmp_path / "code"
    assert code_root(Path("code/manifests/m.yaml"), tmp_path) == tmp_path / "code"
    assert search_path(manifest, tmp_path) == (tmp_path / "code", tmp_path / "code" / "manifests")


def test_without_a_mark_it_is_the_working_directory_where_the_manifest_lies_in_it(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    assert code_root(tmp_path / "a" / "m.yaml", tmp_path) == tmp_path
    assert code_root(tmp_path / "a" / "m.yaml", tmp_path / "b") == tmp_path / "a"
    assert code_root(None, tmp_path) == tmp_path
    assert search_path(None, tmp_path) == (tmp_path,)


@pytest.mark.parametrize("foreign", ["folder", "mark"])
def test_the_code_root_does_not_climb_into_what_another_user_owns(tmp_path: Path, foreign: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to make a folder of another user")
    (tmp_path / "shared" / "mine").mkdir(parents=True)
    (tmp_path / "shared" / "pyproject.toml").touch()
    manifest = tmp_path / "shared" / "mine" / "m.yaml"
    assert code_root(manifest, tmp_path / "elsewhere") == tmp_path / "shared"
    os.chown(tmp_path / "shared" / ("pyproject.toml" if foreign == "mark" else ""), 65534, 65534)
    assert code_root(manifest, tmp_path / "elsewhere") == tmp_path / "shared" / "mine"


def test_a_class_is_found_below_a_namespace(write: Any) -> None:
    write("mine/__init__.py", "")
    folder = write("mine/own/configs.py", "\n\n" + CLASS.format("Mine"))
    location = find("Mine", ["mine"], [folder])
    assert (location.module, location.file, location.line) == ("mine.own.configs", folder / "mine/own/configs.py", 3)
    assert find("Mine", ["mine.own.configs"], [folder]) == location


def test_a_class_in_a_package_itself_is_found(write: Any) -> None:
    folder = write("mine/own/__init__.py", CLASS.format("Mine"))
    assert find("Mine", ["mine"], [folder]).module == "mine.own"
    assert find("Mine", ["mine.own"], [folder]).module == "mine.own"


def test_a_module_and_a_class_are_named_together(write: Any) -> None:
    folder = write("mine.py", CLASS.format("Mine"))
    assert find("mine:Mine", [], [folder]).line == 1


def test_the_first_folder_wins(tmp_path: Path, write: Any) -> None:
    write("one/mine.py", CLASS.format("Mine"))
    write("two/mine.py", CLASS.format("Mine"))
    assert find("Mine", ["mine"], [tmp_path / "two", tmp_path / "one"]).file == tmp_path / "two" / "mine.py"


def test_an_unknown_class_names_the_namespaces_and_the_near_matches(write: Any) -> None:
    folder = write("mine.py", CLASS.format("MyRatherLongName"))
    with pytest.raises(DiscoveryError) as error:
        find("MyRatherLongNam", ["mine", "elsewhere"], [folder])
    assert str(error.value) == f"there is no class 'MyRatherLongNam'; there is no module elsewhere in {folder}"
    assert error.value.hint == "did you mean 'MyRatherLongName'?"
    assert error.value.exit_code == ExitCode.USAGE
    with pytest.raises(DiscoveryError, match=r"'MyRatherLongNam' in mine, innereye_runtime\.examples"):
        find("MyRatherLongNam", ["mine"], [folder])


def test_a_namespace_that_is_not_there_is_an_error_whatever_else_has_the_class(write: Any) -> None:
    folder = write("mine.py", CLASS.format("Mine"))
    for name, elsewhere in (("Mine", ["mine", "elsewhere"]), ("HelloContainer", ["elsewhere"])):
        with pytest.raises(DiscoveryError, match=f"there is no module elsewhere in {folder}"):
            find(name, elsewhere, [folder])


def test_a_class_of_the_users_is_found_in_place_of_an_example_of_its_name(write: Any) -> None:
    write("InnerEye/ML/configs/classification/hello.py", CLASS.format("HelloContainer"))
    folder = write("mine.py", CLASS.format("HelloContainer"))
    assert find("HelloContainer", ["mine"], [folder]).module == "mine"
    assert find("HelloContainer", [], [folder]).module == "InnerEye.ML.configs.classification.hello"


@pytest.mark.parametrize("whole", [False, True], ids=["configs alone", "a whole checkout of the old toolbox"])
def test_a_class_in_the_old_toolboxs_configs_is_found_and_loaded_beside_the_shipped_modules(
    write: Any, whole: bool, needs: Callable[..., None]
) -> None:
    needs("torch")
    folder = write(
        "InnerEye/ML/configs/own/lungs.py",
        "from InnerEye.ML.lightning_container import LightningContainer\n"
        "from InnerEye.ML.utils.own_helper import HELP\n"
        "class Lungs(LightningContainer):\n    help = HELP\n",
    )
    write("InnerEye/ML/utils/own_helper.py", "HELP = 'mine'\n")
    if whole:
        for package in ("", "/ML", "/ML/configs", "/ML/configs/own", "/ML/utils"):
            write(f"InnerEye{package}/__init__.py", "")
        write("InnerEye/ML/lightning_container.py", "raise RuntimeError('the old one')\n")
    location = find("Lungs", [], [folder])
    assert location == find("Lungs", ["InnerEye.ML.configs"], [folder])
    assert location.module == "InnerEye.ML.configs.own.lungs"
    assert "l_rate" in read(location, [folder]).parameters  # the source of the shipped class is read, not the old one
    code = (
        "import sys; from pathlib import Path; from innereye_runtime.introspection.discovery import find, load; "
        "places = [Path(sys.argv[1])]; found = load(find('Lungs', [], places), places); "
        "print(found.help, found.__mro__[1].__module__)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("mine innereye_runtime.api.container\n", "")


def test_a_class_that_no_namespace_holds_is_pointed_at(write: Any) -> None:
    folder = write("deep/down/mine.py", CLASS.format("Mine"))
    with pytest.raises(DiscoveryError) as error:
        find("Mine", [], [folder])
    assert error.value.hint == f"it is in {folder / 'deep/down/mine.py'}: write 'namespaces: [deep.down.mine]'"


@pytest.mark.parametrize(
    ("name", "namespaces", "hint"),
    [
        ("lungs.py:Lungs", [], "write lungs:Lungs"),
        ("Lungs", ["lungs.py"], "write lungs"),
        ("lungs.ipynb:Lungs", [], "from a notebook: move it to a .py file"),
        ("Lungs", ["lungs.ipynb"], "from a notebook: move it to a .py file"),
        ("Lungs", ["lungs"], "lungs.ipynb to a .py file"),
    ],
)
def test_a_file_in_place_of_a_module_is_told(tmp_path: Path, name: str, namespaces: list[str], hint: str) -> None:
    (tmp_path / "lungs.ipynb").write_text('{"cells": [{"source": "class Lungs(LightningContainer):"}]}')
    with pytest.raises(DiscoveryError) as info:
        find(name, namespaces, [tmp_path])
    assert hint in info.value.hint


def test_a_class_found_twice_names_every_place(write: Any) -> None:
    write("mine/one.py", CLASS.format("Mine"))
    folder = write("mine/two.py", "\n" + CLASS.format("Mine"))
    with pytest.raises(DiscoveryError) as error:
        find("Mine", ["mine"], [folder])
    assert f"mine.one:Mine ({folder / 'mine/one.py'}:1)" in str(error.value)
    assert f"mine.two:Mine ({folder / 'mine/two.py'}:2)" in str(error.value)
    assert "mine.one:Mine" in error.value.hint


def test_one_file_under_two_names_is_found_once(write: Any) -> None:
    folder = write("mine/own.py", CLASS.format("Mine"))
    assert find("Mine", ["mine", "mine.own"], [folder]).file == folder / "mine/own.py"


def test_classes_inside_other_things_are_not_found(write: Any) -> None:
    folder = write("mine.py", "class Outer:\n    class Mine:\n        pass\ndef f():\n    class Mine:\n        pass\n")
    with pytest.raises(DiscoveryError):
        find("Mine", ["mine"], [folder])
    folder = write("mine.py", "try:\n    import x\nexcept ImportError:\n    class Mine:\n        pass\n")
    assert find("Mine", ["mine"], [folder]).line == 4


def test_a_missing_module_is_named() -> None:
    with pytest.raises(DiscoveryError, match=r"no module 'nowhere\.at\.all'"):
        find("nowhere.at.all:Mine", [], [])


def test_finding_imports_nothing(write: Any) -> None:
    write("mine/__init__.py", "raise RuntimeError('imported')\n")
    folder = write("mine/own.py", "raise RuntimeError('imported')\n" + CLASS.format("Mine"))
    assert find("Mine", ["mine"], [folder]).line == 2
    assert find("mine.own:Mine", [], [folder]).line == 2
    assert "mine" not in sys.modules


def test_loading_imports_only_the_module_of_the_class(write: Any) -> None:
    write("mine/other.py", "raise RuntimeError('imported')\n")
    folder = write("mine/own.py", CLASS.format("Mine"))
    assert load(find("Mine", ["mine"], [folder]), [folder]).__name__ == "Mine"
    assert "mine.other" not in sys.modules


def test_an_import_error_of_the_users_module_is_shown_whole(write: Any) -> None:
    folder = write("mine.py", "import does_not_exist_here\n" + CLASS.format("Mine"))
    with pytest.raises(ModuleNotFoundError, match="does_not_exist_here") as error:
        load(find("Mine", ["mine"], [folder]), [folder])
    assert "mine.py" in str(error.traceback[-1].path)


def test_a_class_that_is_not_in_its_module_is_told(write: Any) -> None:
    folder = write("mine.py", CLASS.format("Other"))
    location = find("mine:Othr", [], [folder])
    with pytest.raises(DiscoveryError, match="no class 'Othr'") as error:
        load(location, [folder])
    assert error.value.hint == "did you mean 'Other'?"


def test_a_class_that_is_made_is_loaded_by_its_full_name(write: Any) -> None:
    folder = write("mine.py", "Mine = type('Mine', (), {})\n")
    assert load(find("mine:Mine", [], [folder]), [folder]).__name__ == "Mine"


def test_metrics_of_lightning_1_are_found(write: Any, needs: Any) -> None:
    needs("torch")
    folder = write("mine.py", "from pytorch_lightning.metrics import MeanAbsoluteError\n" + CLASS.format("Mine"))
    import torchmetrics

    mine = load(find("Mine", ["mine"], [folder]), [folder])
    assert sys.modules[mine.__module__].MeanAbsoluteError is torchmetrics.MeanAbsoluteError


def test_a_module_for_lightning_1_is_loaded_where_lightning_is_not_yet(
    tmp_path: Path, needs: Callable[..., None]
) -> None:
    needs("torch")
    (tmp_path / "old.py").write_text(
        "from pytorch_lightning.utilities.seed import seed_everything\n"
        "from pytorch_lightning.utilities.types import EPOCH_OUTPUT\n"
        "import pytorch_lightning as pl\n"
        "class Old(pl.metrics.Metric): ...\n"
    )
    code = (
        "import sys; from pathlib import Path; from innereye_runtime.introspection.discovery import find, load; "
        "places = [Path(sys.argv[1])]; print(load(find('old:Old', [], places), places).__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("Old\n", "")


def test_the_file_that_has_the_class_is_named_before_a_guess(tmp_path: Path) -> None:
    for name in (".venv/lib/site-packages/other.py", "node_modules/x/other.py", "code/deep/nets.py"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("class HalloContainer(LightningContainer): ...\n")
    with pytest.raises(DiscoveryError) as refused:
        find("HalloContainer", (), (tmp_path,))  # near to HelloContainer, an example
    assert refused.value.hint == f"it is in {tmp_path}/code/deep/nets.py: write 'namespaces: [code.deep.nets]'"


def test_a_name_is_not_near_to_another_for_its_ending(tmp_path: Path) -> None:
    with pytest.raises(DiscoveryError) as refused:
        find("BrainContainer", (), (tmp_path,))
    assert "Hello" not in refused.value.hint
    with pytest.raises(DiscoveryError) as refused:
        find("HeloContainer", (), (tmp_path,))
    assert refused.value.hint.startswith("did you mean 'HelloContainer'")


def test_the_runtime_that_runs_is_found_in_a_checkout_of_another(tmp_path: Path) -> None:
    """In a container it is that of the image, wherever the user's code has one."""
    examples = tmp_path / "runtime" / "innereye_runtime" / "examples"
    examples.mkdir(parents=True)
    for name, text in (("../__init__", ""), ("__init__", ""), ("hello", "class HelloContainer: ...\n")):
        (examples / f"{name}.py").write_text(text)
    found = find("HelloContainer", (), (tmp_path, tmp_path / "runtime"))
    assert found.file == Path(innereye_runtime.__file__).with_name("examples") / "hello.py"
    assert load(found).__name__ == "HelloContainer"
