"""What every test may ask for: `needs("docker")` and its like.

A test whose need this machine cannot meet is skipped, and named at the end of the run with what would make it run.
Where CI=true it fails, so that a green CI means that everything ran; only what CI never has (a GPU, FUSE) is skipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
MARK = "needs "
ON_THE_ENGINE = (
    "targets/docker/",
    "targets/azureml/",
    "emulator/",
    "data/test_hello.py",
    "docs/test_tutorial.py",
    "promises/test_engine.py",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    what: str
    remedy: str
    met: Callable[[], bool]
    in_ci: bool = True
    """False: CI's machines can't have it, so its absence is no failure there."""


def _answers(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=20).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _azurite() -> bool:
    return (ROOT / "node_modules" / ".bin" / "azurite-blob").is_file() or shutil.which("azurite-blob") is not None


def _language_server() -> bool:
    return (ROOT / "node_modules" / ".bin" / "yaml-language-server").is_file() or bool(
        shutil.which("yaml-language-server")
    )


def _description() -> bool:
    from tests.emulator_contract.api_description import find_api_description

    return find_api_description(os.environ) is not None


def _standin() -> bool:
    from tests.emulator_contract.api_description import find_standin

    return find_standin(os.environ) is not None


NEEDS = {
    "torch": Need(
        what="torch and Lightning",
        remedy="pip install '.[train]' -c constraints.txt",
        met=lambda: find_spec("pytorch_lightning") is not None,
    ),
    "optuna": Need(
        what="Optuna",
        remedy="pip install '.[sweep]' -c constraints.txt",
        met=lambda: find_spec("optuna") is not None,
    ),
    "nilearn": Need(
        what="nilearn",
        remedy="pip install '.[examples]' -c constraints.txt",
        met=lambda: find_spec("nilearn") is not None,
    ),
    "monai": Need(
        what="MONAI",
        remedy="pip install '.[dev]' -c constraints.txt",
        met=lambda: find_spec("monai") is not None,
    ),
    "torchdata": Need(
        what="torchdata",
        remedy="pip install '.[dev]' -c constraints.txt",
        met=lambda: find_spec("torchdata") is not None,
    ),
    "matplotlib": Need(
        what="matplotlib",
        remedy="pip install '.[dev]' -c constraints.txt",
        met=lambda: find_spec("matplotlib") is not None,
    ),
    "tmux": Need(what="tmux", remedy="apt-get install tmux", met=lambda: shutil.which("tmux") is not None),
    "azure": Need(
        what="azure-ai-ml",
        remedy="pip install '.[azureml]' -c constraints.txt",
        met=lambda: find_spec("azure") is not None and find_spec("azure.ai.ml") is not None,
    ),
    "older-azure-ai-ml": Need(
        what="azure-ai-ml 1.34.1 in an environment of its own",
        remedy="make one as .ci/run does, and name its innereye-run in INNEREYE_OLDER_SDK",
        met=lambda: Path(os.environ.get("INNEREYE_OLDER_SDK") or os.devnull).is_file(),
    ),
    "azureml-description": Need(
        what="Microsoft's published description of AzureML's requests",
        remedy="set INNEREYE_AZUREML_SPEC to a folder with its swagger/ and arm-json-schema/, recordings in ../golden",
        met=_description,
        in_ci=False,
    ),
    "azureml-standin": Need(
        what="the stand-in for AzureML that was written apart from this project",
        remedy="as for Microsoft's description: it lies beside that, in ../standin",
        met=_standin,
        in_ci=False,
    ),
    "mlflow": Need(
        what="mlflow-skinny and azureml-mlflow",
        remedy="pip install '.[mlflow]' -c constraints.txt",
        met=lambda: find_spec("mlflow") is not None,
    ),
    "trackers": Need(
        what="wandb and comet-ml",
        remedy="pip install '.[dev]' -c constraints.txt",
        met=lambda: all(find_spec(name) for name in ("wandb", "comet_ml")),
    ),
    "mkdocs": Need(
        what="MkDocs with its theme",
        remedy="pip install '.[docs]' -c constraints.txt",
        met=lambda: all(find_spec(name) for name in ("mkdocs", "material", "mkdocstrings")),
    ),
    "docker": Need(
        what="a Docker engine",
        remedy="start dockerd, or run tests/engine/start as root on Debian",
        met=lambda: _answers("docker", "version"),
    ),
    "sshd": Need(
        what="a server and a client of ssh",
        remedy="apt-get install openssh-server openssh-client",
        met=lambda: Path("/usr/sbin/sshd").exists() and _answers("ssh", "-V"),
    ),
    "slurm": Need(
        what="a Slurm cluster",
        remedy="run tests/slurm/start FOLDER as root on Debian, and name the folder in INNEREYE_SLURM",
        met=lambda: _answers(str(ROOT / "tests/slurm/enter"), os.environ.get("INNEREYE_SLURM", ""), "scontrol", "ping"),
    ),
    "mpirun": Need(
        what="Open MPI",
        remedy="apt-get install --no-install-recommends openmpi-bin",
        met=lambda: _answers("mpirun", "--version"),
    ),
    "gpu": Need(
        what="an NVIDIA GPU", remedy="run on a machine with one", met=lambda: _answers("nvidia-smi", "-L"), in_ci=False
    ),
    "node": Need(what="Node.js", remedy="apt-get install nodejs npm", met=lambda: _answers("node", "--version")),
    "azurite": Need(
        what="Azurite, the blob store", remedy="npm install (make test does it where npm is there)", met=_azurite
    ),
    "yaml-language-server": Need(
        what="yaml-language-server", remedy="npm install (make test does it where npm is there)", met=_language_server
    ),
    "fuse": Need(
        what="FUSE",
        remedy="run where /dev/fuse and fusermount3 are",
        met=lambda: Path("/dev/fuse").exists() and shutil.which("fusermount3") is not None,
        in_ci=False,
    ),
    "mount": Need(
        what="the right to mount a file system",
        remedy="run as root",
        met=lambda: _answers("unshare", "--mount", "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", "/mnt"),
    ),
    "chromium": Need(what="Chromium", remedy="apt-get install chromium", met=lambda: _answers("chromium", "--version")),
    "bash": Need(what="bash", remedy="apt-get install bash", met=lambda: _answers("bash", "-c", "exit 0")),
    "zsh": Need(what="zsh", remedy="apt-get install zsh", met=lambda: _answers("zsh", "-c", "exit 0")),
    "fish": Need(what="fish", remedy="apt-get install fish", met=lambda: _answers("fish", "-c", "exit 0")),
}


@cache
def _met(name: str) -> bool:
    return NEEDS[name].met()


@pytest.fixture(scope="session")
def needs() -> Callable[..., None]:
    """A function that lets the test go on only where everything named (keys of `NEEDS`) is there."""

    def need(*names: str) -> None:
        for name in names:
            if not _met(name):
                wanted = NEEDS[name]
                sentence = f"{MARK}{wanted.what} ({wanted.remedy})"
                if os.environ.get("CI") == "true" and wanted.in_ci:
                    pytest.fail(f"{sentence}: CI has to bring it", pytrace=False)
                pytest.skip(sentence)

    return need


@pytest.fixture
def small_disk(needs: Callable[..., None], tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """A function that makes a file system of so many bytes (`96m`)."""
    needs("mount")
    with ExitStack() as mounted:

        def mount(size: str) -> Path:
            place = tmp_path / f"disk of {size}"
            place.mkdir()
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place], check=True)
            mounted.callback(subprocess.run, ["umount", "-l", place], check=True)
            return place

        yield mount


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Says what one of the processes of `make test` runs as a whole: a module, and all that shares the engine."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            module = nodeid.partition("::")[0]
            return "engine" if module.removeprefix("tests/").startswith(ON_THE_ENGINE) else module

    return Scheduling(config, log)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Names each test that was left out, under the need that was not met."""
    left_out: dict[str, list[str]] = {}
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        left_out.setdefault(reason.removeprefix("Skipped: "), []).append(report.nodeid)
    if left_out:
        terminalreporter.section("left out")
        for reason, tests in sorted(left_out.items()):
            terminalreporter.write_line(f"{reason}:")
            for test in tests:
                terminalreporter.write_line(f"  {test}")
