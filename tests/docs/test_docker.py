"""The commands of the tutorial's page on Docker, on a real engine."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.docs.pages import DOCS, ROOT, work_through


def test_the_commands_of_the_page_on_docker_work(tmp_path: Path, needs: Callable[..., None]) -> None:
    needs("docker", "torch", "bash")
    if os.geteuid() == 0:
        subprocess.run([ROOT / "images" / "base"], check=True, capture_output=True)
    work_through(DOCS / "tutorial" / "docker.md", tmp_path)
