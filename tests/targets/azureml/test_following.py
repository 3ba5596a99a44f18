"""A signal to who follows a job, wherever the following is: the job is left running, and it is said how to get it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from innereye_runtime.errors import ExitCode
from innereye_runtime.targets.azureml import following
from innereye_runtime.targets.azureml.following import AzureMLHandle, SubmittedJob, hold_signals


@pytest.fixture
def handle(needs: Callable[..., None], tmp_path: Path) -> AzureMLHandle:
    needs("azure")
    (tmp_path / "run").mkdir()
    job = SubmittedJob(
        workspace=("subscription", "group", "workspace"),
        name="job",
        folder=str(tmp_path / "run"),
        datastore="store",
        path="runs/run",
        retries={},
        is_sweep=False,
    )
    return AzureMLHandle(job, stdout=1)


@pytest.mark.parametrize("place", ["held", "downloading"])
def test_a_sigterm_leaves_the_job_running_and_says_how_to_get_it(
    place: str,
    handle: AzureMLHandle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    recorded: list[tuple[object, ...]] = []

    def terminated(*_: object) -> int:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)  # an impatient one changes nothing
        return 0

    before = signal.getsignal(signal.SIGTERM)
    hold_signals()
    if place == "held":
        os.kill(os.getpid(), signal.SIGTERM)
    monkeypatch.setattr(AzureMLHandle, "_follow", lambda self: "Completed")
    monkeypatch.setattr(AzureMLHandle, "_bring_home", terminated)
    monkeypatch.setattr(following, "record_detached", lambda *words: recorded.append(words))
    assert handle.wait() == ExitCode.STOPPED
    assert [words[1] for words in recorded] == ["run"]
    assert "to download its run folder when it is done: innereye-run download 'azureml://" in capfd.readouterr().err
    assert signal.getsignal(signal.SIGTERM) is before
    assert not (tmp_path / "run").exists()
