"""What this machine lacks: skipped and named here, a failure in CI."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

CONFTEST = Path(__file__).resolve().parents[1] / "conftest.py"
LACKING = """
NEEDS["unicorn"] = Need(what="a unicorn", remedy="find one", met=lambda: False)
NEEDS["griffin"] = Need(what="a griffin", remedy="none is known", met=lambda: False, in_ci=False)
"""
TESTS = """
def test_of_unicorns(needs): needs("unicorn")
def test_of_griffins(needs): needs("bash", "griffin")
def test_of_shells(needs): needs("bash")
"""


def pytest_in(folder: Path, **variables: str) -> str:
    (folder / "conftest.py").write_text(CONFTEST.read_text() + LACKING)
    (folder / "test_beasts.py").write_text(TESTS)
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder), str(folder)]
    done = subprocess.run(command, cwd=folder, env=environment | variables, capture_output=True, text=True, timeout=60)
    return done.stdout


def test_a_need_that_is_not_met_is_named_with_its_remedy_and_its_tests(tmp_path: Path) -> None:
    shown = pytest_in(tmp_path)
    assert "1 passed, 2 skipped" in shown
    assert "needs a unicorn (find one):\n  test_beasts.py::test_of_unicorns\n" in shown
    assert "needs a griffin (none is known):\n  test_beasts.py::test_of_griffins\n" in shown


def test_in_ci_it_fails_but_for_what_ci_never_has(tmp_path: Path) -> None:
    shown = pytest_in(tmp_path, CI="true")
    assert "1 failed, 1 passed, 1 skipped" in shown
    assert "needs a unicorn (find one): CI has to bring it" in shown


def test_no_test_is_left_out_without_saying_what_it_needs() -> None:
    here = CONFTEST.parent
    ways = re.compile(
        r"importorskip|mark\.skip|mark\.xfail|skipif|collect_ignore|SkipTest|pytest\.skip\((?!f?\"needs |sentence)"
    )
    found = {str(file.relative_to(here)) for file in here.rglob("*.py") if ways.search(file.read_text())}
    assert found == {"house/test_needs.py"}
