"""The GPUs of this machine, as NVIDIA's driver shows them."""

from __future__ import annotations

import shutil
import subprocess


def visible_gpus() -> int:
    """How many GPUs NVIDIA's driver shows on this machine; 0 without a driver."""
    if shutil.which("nvidia-smi") is None:
        return 0
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    return sum(line.startswith("GPU ") for line in listed.stdout.splitlines()) if listed.returncode == 0 else 0
