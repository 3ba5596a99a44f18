"""What `compare` finds: each cause alone, named once, and nothing that differs between any two runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.report.folders import RECORD
from tests.run.records import record

from innereye_runtime.run.comparison import changed_files, compare

FILE = "diff --git a/{0} b/{0}\n--- a/{0}\n+++ b/{0}\n@@ -1 +1 @@\n-old\n+{1}\n"
CODE: dict[str, Any] = RECORD["code"]
CAUSES: dict[str, tuple[dict[str, Any], tuple[str, str]]] = {
    "seed": (
        {"seed": 7, "arguments": {**RECORD["arguments"], "random_seed": {"value": 7, "origin": "command line"}}},
        ("parameters", "random_seed"),
    ),
    "seed alone": ({"seed": 7}, ("parameters", "seed")),
    "parameter": (
        {"arguments": {**RECORD["arguments"], "l_rate": {"value": 1, "origin": "manifest"}}},
        ("parameters", "l_rate"),
    ),
    "a file": ({"code": {**CODE, "diff": CODE["diff"] + FILE.format("my/net.py", "new")}}, ("code", "my/net.py")),
    "commit": ({"code": {**CODE, "commit": "0000"}}, ("code", "commit")),
    "argument of a model": (
        {
            "arguments": {**RECORD["arguments"], "model.lr": {"value": 1, "origin": "manifest"}},
            "manifest": {**RECORD["manifest"], "model": {"args": {"lr": 1}}},
        },
        ("parameters", "model.lr"),
    ),
    "part of an argument": (
        {
            "arguments": {**RECORD["arguments"], "data.parts": {"value": [{"a": 1}], "origin": "manifest"}},
            "manifest": {**RECORD["manifest"], "data": {"args": {"parts": [{"a": 1}]}}},
        },
        ("parameters", "data.parts"),
    ),
    "package": ({"packages": {**RECORD["packages"], "numpy": "2.4.7"}}, ("packages", "numpy")),
    "package gone": ({"packages": {"torch": "2.13.0+cpu"}}, ("packages", "numpy")),
    "image": ({"image": {"reference": "innereye-runtime:cpu", "digest": "sha256:0000"}}, ("packages", "image")),
    "dataset": ({"datasets": [{**RECORD["datasets"][0], "sha256": "0", "files": 3}]}, ("data", "hello sha256")),
    "GPU": (
        {"hardware": {**RECORD["hardware"], "gpus": [{"name": "Another GPU", "memory_bytes": 1}]}},
        ("hardware", "gpus"),
    ),
    "manifest": ({"manifest": {**RECORD["manifest"], "compute": {"shm_size": "2g"}}}, ("manifest", "compute.shm_size")),
}
NOISE: dict[str, Any] = {
    "id": "another",
    "attempts": [],
    "timings": {"training": 7.0},
    "code": {**CODE, "root": "/elsewhere"},
    "container": {**RECORD["container"], "file": "/elsewhere/my/configs.py"},
    "datasets": [{**RECORD["datasets"][0], "path": "/elsewhere", "seconds": 3.0}],
}


@pytest.mark.parametrize("cause", CAUSES)
def test_a_single_cause_is_the_only_difference(cause: str) -> None:
    changes, expected = CAUSES[cause]
    found = compare({"a": record(), "b": {**record(), **NOISE, **changes}})
    assert [(one.section, one.key) for one in found.differences] == [expected]
    assert found.differences[0].values[0] != found.differences[0].values[1]


def test_two_starts_of_one_job_do_not_differ() -> None:
    found = compare({"a": record(), "b": record(**NOISE)})
    assert found.differences == ()


def test_runs_are_equal_by_their_weights_and_metrics() -> None:
    weights = {"last": {"weights_sha256": "1"}}
    same = record(checkpoints=weights, metrics={"test": {"auc": 0.5}})
    assert compare({"a": same, "b": same}).equal
    assert not compare({"a": same, "b": {**same, "metrics": {"test": {"auc": 0.6}}}}).equal
    assert not compare({"a": same, "b": {**same, "checkpoints": {}}}).equal
    without = record(checkpoints={})
    assert not compare({"a": without, "b": without}).equal, "nothing is known of their weights"


def test_what_can_not_be_compared_is_a_note() -> None:
    found = compare({"a": record(), "b": record(code={"root": "/home/me"}, datasets=[{"id": "x", "sha256": ""}])})
    assert [note.partition(":")[0] for note in found.notes] == ["b", "b"]


def test_a_diff_is_taken_apart_by_file() -> None:
    both = FILE.format("a b/c.py", "1") + FILE.format("d.py", "2")
    assert changed_files(both) == {"a b/c.py": FILE.format("a b/c.py", "1"), "d.py": FILE.format("d.py", "2")}
    assert changed_files("") == {}


def test_the_path_of_a_run_folder_is_not_compared(tmp_path: Path) -> None:
    arguments = {**RECORD["arguments"], "output_to": {"value": str(tmp_path), "origin": "command line"}}
    assert compare({"a": record(), "b": record(arguments=arguments)}).differences == ()
