"""The fixed small part of the fault bench that every test run has."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.__main__ import main, variants


def test_a_bench_drills_what_has_no_result_yet_and_fails_on_a_difference(
    needs: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    needs("torch")
    assert set(variants()) >= {
        "dropout", "shuffle", "workers", "plateau", "one_cycle", "early_stopping", "accumulation", "bf16", "iterable",
        "val_check_interval", "max_steps", "max_time", "swa", "swa_batch_norm", "ema", "two_optimizers", "monai_cache",
    }  # fmt: skip
    results = tmp_path / "faults.jsonl"
    earlier = {"variant": "plain", "seed": 3, "breaks": [], "problems": []}
    results.write_text(json.dumps(earlier) + '\n{"variant": "work\n')  # and was killed there
    words = [
        "--first-seed=3",
        "--seeds=1",
        "--kills=1",
        "--signals=0",
        "--stops=0",
        "--kill-points=0",
        "--rank-kills=0",
        "--no-reruns",
        f"--results={results}",
    ]
    assert main([*words, "--variants", "plain", "workers"]) == 0, capsys.readouterr().out
    shown = capsys.readouterr().out
    assert "workers, seed 3: equal\n1 breaks in 2 drills, 0 of them with a difference" in shown
    found = json.loads(results.read_text().splitlines()[-1])
    assert (found["variant"], [one["kind"] for one in found["breaks"]]) == ("workers", ["SIGKILL"])
    results.write_text(json.dumps({**earlier, "problems": ["SIGKILL after 1.0 s: the weights of last.ckpt differ"]}))
    assert main([*words, "--variants", "plain"]) == 1
