"""The wheel of this checkout, and an environment that has it installed and no checkout on its path."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def build_wheel(folder: Path, project: Path = ROOT) -> Path:
    """The wheel of a project, built into a folder without a network."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=project, check=True, capture_output=True, env={**os.environ, "PIP_NO_INDEX": "1"})
    return next(folder.glob("*.whl"))


def install_wheel(wheel: Path, folder: Path) -> Path:
    """The folder of the commands of a new environment: the wheel, and the libraries of the one that runs the tests."""
    python = folder / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(python)]
    subprocess.run([*pip, "install", "-q", "--no-deps", "--no-index", "--no-compile", str(wheel)], check=True)
    # A folder that a .pth file names is not searched for .pth files itself: the checkout stays off the path.
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
    libraries = [entry for entry in sys.path if Path(entry).name == "site-packages"]
    (packages / "libraries.pth").write_text("\n".join(libraries) + "\n")
    return python.parent
