"""The staging of a node: what the first node takes over from another one, and what a stop in the middle is answered."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from innereye_runtime.errors import PreflightError
from innereye_runtime.job.ranks import Ranks
from innereye_runtime.launch.staging import Staging, open_staging
from innereye_runtime.run.paths import RunPaths
from innereye_runtime.run.record import RunRecord
from innereye_runtime.run.staged_restore import restore
from innereye_runtime.run.staged_store import OutputStore

FIRST, SECOND = Ranks(), Ranks(global_rank=1, node_rank=1)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    (tmp_path / "output").mkdir()
    return tmp_path / "output"


def opened(tmp_path: Path, name: str, ranks: Ranks, *, said: list[str] | None = None) -> tuple[RunPaths, Staging]:
    paths = RunPaths(tmp_path / name)
    report = (said if said is not None else []).append
    staging = open_staging(paths, tmp_path / "output", ranks, nodes=2, cwd=tmp_path, report=report)
    assert staging is not None
    return paths, staging


def begun(paths: RunPaths) -> RunRecord:
    """The record of a run whose attempt is under way."""
    record = RunRecord.read(paths) if paths.run_json.exists() else RunRecord(id="run", model="M", target="azureml")
    record.begin_attempt("host")
    record.write(paths)
    return record


def test_the_first_node_takes_over_what_the_other_one_wrote_and_how_it_failed(tmp_path: Path, output: Path) -> None:
    here, first = opened(tmp_path, "node0", FIRST)
    begun(here)
    (here.root / "both.txt").write_text("of the first")
    first.stager.save()
    there, second = opened(tmp_path, "node1", SECOND)  # late: it finds the attempt of the first node already
    second.begin_attempt()
    (there.root / "both.txt").write_text("of the second")
    (there.root / "rank1.json").write_text("{}")
    first._look()
    assert RunRecord.read(here).state == "running"
    failed = RunRecord.read(there)
    failed.end_attempt("failed", 42, "rank 1: the user's code exited with 42")
    failed.write(there)
    second.stager.save()
    first._look()
    record = RunRecord.read(here)
    assert (record.exit_code, record.reason) == (42, "rank 1: the user's code exited with 42")
    assert len(record.attempts) == 1
    first.collect()
    assert (here.root / "rank1.json").read_text() == "{}"
    assert (here.root / "both.txt").read_text() == "of the first"
    assert first.finish(42) == 42
    restored = tmp_path / "restored"
    assert restore(restored, OutputStore(output)).notes == ()
    assert {path.name for path in restored.iterdir()} == {"run.json", "both.txt", "rank1.json"}

    # The next attempt of the second node has its own files, and not its own end.
    again, third = opened(tmp_path, "again", SECOND)
    assert (again.root / "both.txt").read_text() == "of the first"
    first_again, fourth = opened(tmp_path, "first-again", FIRST)
    begun(first_again)
    fourth._look()
    assert RunRecord.read(first_again).state == "running"
    (again.root / "rank1.json").write_text("[]")
    (again.root / "both.txt").write_text("of the second")
    (first_again.root / "both.txt").write_text("of the first, later")
    third.stager.save()
    fourth.collect()
    assert (first_again.root / "rank1.json").read_text() == "[]"
    assert (first_again.root / "both.txt").read_text() == "of the first, later"


def test_a_stop_while_the_output_is_written_is_answered_by_how_far_that_is(
    tmp_path: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    paths, staging = opened(tmp_path, "run", FIRST, said=said)
    begun(paths)
    (paths.root / "large").write_bytes(bytes(3 << 20))
    write = OutputStore.write

    def stopped(self: OutputStore, name: str, source: Path, advanced: Any) -> tuple[int, str]:
        def seen(size: int) -> None:
            advanced(size)
            if name == "large" and not said:
                os.kill(os.getpid(), signal.SIGTERM)

        return write(self, name, source, seen)

    monkeypatch.setattr(OutputStore, "write", stopped)
    assert staging.finish(0) == 0
    (line,) = said
    assert re.fullmatch(
        r"SIGTERM while the output is written: [01] of 2 files, [123]\.\d of 3\.1 MB, are in the output after 0 s", line
    )
    assert (output / "large").stat().st_size == 3 << 20


def test_a_further_process_of_a_node_waits_for_the_first_of_this_attempt(
    tmp_path: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("innereye_runtime.launch.staging._PATIENCE_SECONDS", 0.0)
    marker = tmp_path / ".run.restored"
    marker.write_text('{"process": "1-1-of-another-boot"}')
    further = Ranks(global_rank=1, local_rank=1)

    def wait() -> Staging | None:
        return open_staging(RunPaths(tmp_path / "run"), output, further, nodes=1, cwd=tmp_path, report=print)

    with pytest.raises(PreflightError, match="did not restore the run folder"):
        wait()
    opened(tmp_path, "run", FIRST)
    assert wait() is None
