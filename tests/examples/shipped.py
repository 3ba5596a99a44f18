"""Runs a manifest that ships with the project, as a user does, but with its outputs in a folder of the test's own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run_manifest(name: str, folder: Path, *options: str, timeout: float) -> Path:
    """The run folder of `innereye-run manifests/NAME.yaml`, which has to end with exit code 0 in `timeout` seconds."""
    manifests = folder / "manifests"
    manifests.mkdir()
    manifest = manifests / f"{name}.yaml"
    manifest.write_bytes((ROOT / "manifests" / f"{name}.yaml").read_bytes())
    # The paths in the manifest are relative to it.
    (folder / "data").symlink_to(ROOT / "data")
    command = [str(Path(sys.executable).with_name("innereye-run")), str(manifest), *options]
    # One thread: where the machine has other work, threads that wait for each other take many times as long.
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    run = Path(done.stdout.rstrip().rpartition("\n")[2])
    assert run.parent == folder / "outputs"
    return run
