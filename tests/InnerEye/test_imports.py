from __future__ import annotations

import logging
import re
from importlib import import_module
from pathlib import Path

import pytest

import innereye_runtime
from innereye_runtime.introspection import discovery

NAMES = {
    "InnerEye.ML.lightning_container": ["LightningContainer", "LightningModuleWithOptimizer", "InnerEyeInference"],
    "InnerEye.ML.common": ["ModelExecutionMode"],
    "InnerEye.ML.deep_learning_config": [
        "WorkflowParams",
        "DatasetParams",
        "OutputParams",
        "OptimizerParams",
        "TrainerParams",
        "LRSchedulerType",
        "LRWarmUpType",
        "OptimizerType",
    ],
    "InnerEye.Common.generic_parsing": ["GenericConfig"],
}


@pytest.mark.parametrize("module", NAMES)
def test_old_names_are_the_new_classes(module: str, needs: object) -> None:
    needs("torch")  # type: ignore[operator]
    for name in NAMES[module]:
        assert getattr(import_module(module), name) is getattr(innereye_runtime, name)


@pytest.mark.parametrize(
    "module", ["InnerEye.Common.common_util", "InnerEye.Common.type_annotations", "InnerEye.Common.fixed_paths"]
)
def test_modules_of_helpers_have_what_they_name(module: str) -> None:
    found = import_module(module)
    assert all(hasattr(found, name) for name in found.__all__)


def test_the_old_files_only_name_what_is_elsewhere() -> None:
    import InnerEye

    root = InnerEye.__path__[0]
    for file in Path(root).rglob("*.py"):
        text = file.read_text()
        assert "class " not in text.replace("--model=CLASS", "") or file.name == "__init__.py"
        assert text.count("def ") == (file.name == "runner.py")


def test_the_repository_root_is_the_root_of_the_users_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from InnerEye.Common import fixed_paths

    monkeypatch.setattr(discovery, "_loaded_from", [])
    (tmp_path / "code" / "deep").mkdir(parents=True)
    (tmp_path / "code" / "setup.py").touch()
    monkeypatch.chdir(tmp_path / "code" / "deep")
    assert fixed_paths.repository_root_directory() == tmp_path / "code"
    assert fixed_paths.repository_root_directory("data/x.csv") == tmp_path / "code" / "data" / "x.csv"


def test_the_repository_root_is_that_of_the_loaded_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from InnerEye.Common import fixed_paths

    monkeypatch.setattr(discovery, "_loaded_from", [])
    monkeypatch.setattr("sys.path", [*__import__("sys").path])
    (tmp_path / "loaded_here.py").write_text("class Mine:\n    pass\n")
    discovery.load(discovery.find("loaded_here:Mine", [], [tmp_path]), [tmp_path])
    assert fixed_paths.repository_root_directory() == tmp_path


def test_working_directory_comes_back_after_an_exception(tmp_path: Path) -> None:
    from InnerEye.Common.common_util import change_working_directory

    before = Path.cwd()
    with pytest.raises(KeyError), change_working_directory(tmp_path):
        assert Path.cwd() == tmp_path
        raise KeyError
    assert Path.cwd() == before


def test_a_section_is_told_with_its_seconds_however_it_ends(caplog: pytest.LogCaptureFixture) -> None:
    from InnerEye.Common.common_util import logging_section

    with caplog.at_level(logging.INFO), pytest.raises(KeyError), logging_section("reading"):
        raise KeyError
    assert caplog.messages[0] == "reading: started"
    assert re.fullmatch(r"reading: finished after [0-4]\.\d\d s", caplog.messages[1])


def test_names_of_files_are_those_of_the_run_folder() -> None:
    from InnerEye.Common import fixed_paths
    from InnerEye.ML import common
    from innereye_runtime.run.paths import RunPaths

    paths = RunPaths(Path("/run"))
    assert paths.best_checkpoint.name == common.BEST_CHECKPOINT_FILE_NAME_WITH_SUFFIX
    assert paths.last_checkpoint.name == common.LAST_CHECKPOINT_FILE_NAME_WITH_SUFFIX
    assert common.BEST_CHECKPOINT_FILE_NAME + common.CHECKPOINT_SUFFIX == "best.ckpt"
    assert common.LAST_CHECKPOINT_FILE_NAME == "last"
    assert paths.logs.name == fixed_paths.DEFAULT_LOGS_DIR_NAME
    assert (fixed_paths.DEFAULT_AML_UPLOAD_DIR, fixed_paths.DEFAULT_AML_LOGS_DIR) == ("outputs", "azureml-logs")


def test_namespaces_and_paths() -> None:
    from InnerEye.Common.common_util import any_pairwise_larger, namespace_to_path, path_to_namespace

    assert namespace_to_path("a.b", root="/r") == Path("/r/a/b")
    assert path_to_namespace(Path("/r/a/b.py"), root="/r") == "a.b"
    assert any_pairwise_larger([1, 3], [2, 2])
    assert not any_pairwise_larger([1, 2], [2, 2])
