"""An import that fails is reported with the package, the user's file, and who provides it."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from innereye_runtime import entrypoint
from innereye_runtime.introspection import discovery
from innereye_runtime.training import imports
from innereye_runtime.training.lifecycle.outcome import outcome_of


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(discovery, "_loaded_from", [])
    monkeypatch.setattr("sys.path", list(sys.path))
    monkeypatch.delenv("INNEREYE_RUNTIME_SHARE", raising=False)
    yield tmp_path
    sys.modules.pop("wanting", None)


CASES = {
    "import nibabelx": "innereye-runtime does not provide it, and no requirements file in {root} names it: "
    "pip install nibabelx",
    "import named_there": "{root}/requirements.txt requires it, and it is not installed in {prefix}: "
    "pip install -r {root}/requirements.txt",
    "import in_project": "{root}/pyproject.toml requires it, and it is not installed in {prefix}: pip install {root}",
    "import nilearn": "innereye-runtime provides it: pip install 'innereye-runtime[examples]'",
    "import tucked_away": "{root}/deep/tucked_away.py has this name: write 'import deep.tucked_away', as modules are "
    "found from {root}",
    "from torch.nowhere import Thing": "has no 'torch.nowhere': install the version that has it",
    "from numpy import no_such_thing": "has no 'no_such_thing': install the version that has it",
}


@pytest.mark.parametrize("line", CASES)
def test_an_import_that_fails_is_reported_as_what_it_is(root: Path, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "wanting.py").write_text(f"# the user's\n{line}\nclass Mine:\n    pass\n")
    (root / "requirements.txt").write_text("nibabel==5\nnamed-there>=1\n")
    (root / "pyproject.toml").write_text('[project]\ndependencies = ["in-project>=2"]\n')
    (root / "deep").mkdir()
    (root / "deep" / "tucked_away.py").touch()
    if "nilearn" in line:  # installed or not where the tests run
        monkeypatch.setitem(sys.modules, "nilearn", None)
        monkeypatch.setattr(imports, "_is_there", lambda package: False)
    with pytest.raises(ImportError) as error:
        discovery.load(discovery.find("wanting:Mine", [], [root]), [root])
    outcome = outcome_of(error.value)
    assert outcome.exit_code == 1 and outcome.show_traceback
    package = line.split()[1].partition(".")[0]
    assert outcome.hint.startswith(f"'{package}' is imported by {root}/wanting.py:2; ")
    assert outcome.hint.endswith(CASES[line].format(root=root, prefix=sys.prefix))


def test_in_an_image_the_way_is_an_image_from_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INNEREYE_RUNTIME_SHARE", "/opt/innereye-runtime")
    hint = outcome_of(ModuleNotFoundError("No module named 'nibabelx'", name="nibabelx")).hint
    assert hint.endswith(
        "install nibabelx in an image FROM this one (compute.docker.image; images/README.md shows how)"
    )


def test_an_import_that_a_stop_ends_leaves_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As concurrent.futures.thread, imported while the interpreter ends: nobody waits for the import then."""

    def ended(name: str) -> None:
        raise RuntimeError("can't register atexit after shutdown")

    monkeypatch.setattr(entrypoint, "import_module", ended)
    try:
        error = entrypoint._begin_imports().exception(timeout=60)
    finally:
        gc.enable()
    assert isinstance(error, RuntimeError)
    assert capsys.readouterr().err == ""
