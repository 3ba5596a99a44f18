"""Trials that start from a process with all imports: the same bits, exit codes and retries as those that start cold."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.projects import tiny_project

from innereye_runtime.sweep.warm_pool import WarmPool

MANIFEST = """\
schema: 1
container: {class: Tiny, namespaces: [tiny]}
trainer: {num_epochs: 2}
compute: {retries: {infrastructure: 1}}
environment: {OMP_NUM_THREADS: "1"}
sweep:
  search_space: {misbehaviour: {values: ["", raise, exit, out of memory once]}}
  objective: {primary_metric: val/loss}
  limits: {max_concurrent_trials: 2}
"""


def test_a_warm_trial_ends_as_a_cold_one_does(tmp_path: Path, needs: Callable[..., None]) -> None:
    needs("torch")
    project = tiny_project(tmp_path, MANIFEST)
    swept = project.run("--json", "tiny.yaml")
    assert swept.exit_code == 0, swept.stderr
    result = json.loads(swept.stdout)
    folder = Path(result["run"])
    trials = json.loads((folder / "sweep.json").read_text())["trials"]
    assert [(trial["state"], trial["exit_code"]) for trial in trials] == [
        *(("completed", 0), ("failed", 1), ("failed", 42), ("completed", 0))
    ]
    assert trials[1]["reason"] == "RuntimeError: the data is upside down"
    records = [json.loads((folder / "trials" / name / "run.json").read_text()) for name in ("000", "003")]
    assert [len(record["attempts"]) for record in records] == [1, 2], "one was killed, and retried"
    for log in (folder / "trials" / "000" / "logs" / "console.log", folder / "logs" / "000.log"):
        assert log.read_text().count("Tiny, attempt 1") == 1, "what is logged is there once"

    cold = project.run(str(folder / "trials" / "000" / "manifest.yaml"))
    assert cold.exit_code == 0, cold.stderr
    last = records[0]["checkpoints"]["last"]
    assert last["weights_sha256"] == cold.weights == result["weights_sha256"]
    assert records[0]["metrics"] == cold.record["metrics"]
    compared = project.run("compare", "--json", str(folder / "trials" / "000"), str(cold.run))
    assert (json.loads(compared.stdout)["differences"], json.loads(compared.stdout)["equal"]) == ([], True)


def test_a_module_that_starts_threads_is_not_forked(tmp_path: Path, needs: Callable[..., None]) -> None:
    needs("torch")
    project = tiny_project(tmp_path, MANIFEST)
    statement = "import threading, time; threading.Thread(target=time.sleep, args=(60,), daemon=True).start()"
    project.write("tiny.py", f"{statement}\n{(tmp_path / 'tiny.py').read_text()}")
    pool = WarmPool(tmp_path / "tiny.yaml", tmp_path, tmp_path / "imports.log", {})
    try:
        while pool.is_importing:
            pool.listen(wait=True)
        assert not pool.is_ready
        assert "starts threads" in pool.refusal
    finally:
        pool.close()


def test_a_pool_that_is_gone_starts_nothing(tmp_path: Path) -> None:
    pool = WarmPool(tmp_path / "none.yaml", tmp_path, tmp_path / "imports.log", {})
    pool._process.kill()
    pool._process.wait()
    while pool.is_importing:
        pool.listen(wait=True)
    assert (pool.is_ready, pool.start("000", [], tmp_path / "log")) == (False, None)
    pool.close()
