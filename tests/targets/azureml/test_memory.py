"""What a command that follows a job takes of this machine's memory: who has a hundred jobs has a hundred of them."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.projects import Project
from tests.targets.azureml.conftest import MANIFEST, address_in

SWEEP = "sweep: {search_space: {width: {values: [4, 8]}}, objective: {primary_metric: val/loss}}\n"
MOST_OWN, MOST_RESIDENT = 24.0, 33.0
"""MiB: of its own (in proportion, what it shares), and at its peak with all that it shares; measured: 18 and 29."""


def memory(pid: int) -> tuple[float, float]:
    process = Path(f"/proc/{pid}")
    own = re.search(r"^Pss:\s+(\d+)", (process / "smaps_rollup").read_text(), re.M)
    peak = re.search(r"^VmHWM:\s+(\d+)", (process / "status").read_text(), re.M)
    assert own and peak
    return int(own[1]) / 1024, int(peak[1]) / 1024


def asked(cloud: Any, end: str) -> int:
    """How often it was asked for what ends so."""
    return sum(call.request.path.endswith(end) for call in cloud.calls)


def test_a_followed_job_costs_little_memory(project: Project, cloud_for: Callable[..., Any]) -> None:
    """Submitted and followed, by one process, also a sweep; and later, by its address."""
    with cloud_for() as cloud:
        cloud.runner._places = threading.Semaphore(0)  # no job begins
        environment = {**cloud.environment(), "PYTHONUNBUFFERED": "1"}
        submitted = project.start("--target", "azureml", "tiny.yaml", environment=environment)
        assert submitted.stderr
        shown = ""
        while ": Queued" not in shown:
            line = submitted.stderr.readline()
            assert line, shown
            shown += line
        address = address_in(shown)
        project.write("sweep.yaml", MANIFEST + SWEEP)
        searching = project.start("--target", "azureml", "sweep.yaml", environment=environment)
        following = project.start("logs", "-f", address, environment=environment)
        waiting = project.start("wait", *[address] * 2, environment=environment)
        try:
            deadline = time.monotonic() + 120
            while asked(cloud, address.rpartition("/")[2]) < 12 or asked(cloud, "/children") < 3:
                assert time.monotonic() < deadline
                time.sleep(0.2)
            for process in (submitted, searching, following, waiting):
                own, peak = memory(process.pid)
                assert own < MOST_OWN and peak < MOST_RESIDENT, process.args
        finally:
            for process in (submitted, searching, following, waiting):
                process.terminate()
                process.communicate(timeout=60)
