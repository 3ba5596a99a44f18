"""Run folders for the tests of the report, written as the running side writes them."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from innereye_runtime.figures.figure_files import add_curve, add_figure
from innereye_runtime.run.paths import RunPaths

RECORD: dict[str, Any] = {
    "schema": 1,
    "id": "2026-11-24T101530Z_HelloContainer",
    "model": "HelloContainer",
    "state": "completed",
    "reason": "",
    "exit_code": 0,
    "target": "docker",
    "seed": 42,
    "attempts": [
        {
            "number": 1,
            "started": "2026-11-24T10:15:30Z",
            "ended": "2026-11-24T10:16:02Z",
            "state": "stopped",
            "exit_code": 143,
            "reason": "the node was preempted",
            "resumed_from": None,
            "epoch": 0,
            "host": "node-1",
        },
        {
            "number": 2,
            "started": "2026-11-24T10:17:00Z",
            "ended": "2026-11-24T10:18:31Z",
            "state": "completed",
            "exit_code": 0,
            "reason": "",
            "resumed_from": "checkpoints/last.ckpt",
            "epoch": 2,
            "host": "node-2",
        },
    ],
    "manifest": {"schema": 1, "name": "hello", "container": {"class": "HelloContainer"}},
    "arguments": {
        "num_layers": {"value": 7, "origin": "command line"},
        "l_rate": {"value": 0.01, "origin": "manifest"},
        "num_epochs": {"value": 4, "origin": "class"},
        "local_weights_path": {"value": [], "origin": "default"},
        "model_id": {"value": "", "origin": "default"},
        "pl_profiler": {"value": None, "origin": "default"},
    },
    "container": {
        "class": "HelloContainer",
        "module": "my.configs",
        "file": "/home/me/project/my/configs.py",
        "description": "Fits a line through <noisy> points.",
    },
    "model_summary": {
        "parameters": 14_220,
        "trainable": 220,
        "bytes": 56_880,
        "layers": [
            {"name": "encoder.0", "class": "Conv2d", "parameters": 14_000},
            {"name": "head", "class": "Linear", "parameters": 220},
        ],
    },
    "code": {
        "root": "/home/me/project",
        "commit": "3f1c0de5b7a94c1e8f20",
        "dirty": True,
        "diff": "diff --git a/my/configs.py b/my/configs.py\n@@ -1 +1 @@\n-layers = 3\n+layers = 7 < 9\n",
    },
    "image": {"reference": "innereye-runtime:cpu", "digest": "sha256:5a1e"},
    "packages": {"numpy": "2.4.6", "torch": "2.13.0+cpu"},
    "python": "3.11.7",
    "runtime_version": "0.1.0",
    "hardware": {
        "cpu": "Example CPU",
        "cores": 2,
        "memory_bytes": 24 * 1024**3,
        "gpus": [{"name": "Example GPU", "memory_bytes": 80 * 1024**3}],
    },
    "datasets": [
        {"id": "hello", "path": "/data/hello", "mode": "mount", "sha256": "77ab", "files": 2, "bytes": 123456}
    ],
    "checkpoints": {
        "best": {
            "path": "checkpoints/best.ckpt",
            "epoch": 2,
            "monitor": "val/Loss",
            "value": 0.25,
            "reason": "lowest val/Loss",
            "weights_sha256": "be57",
            "metrics": {"train": {"train/Loss": 0.25}, "val": {"val/Loss": 0.25, "val_accuracy": 0.9}, "test": {}},
        },
        "last": {"path": "checkpoints/last.ckpt", "epoch": 3, "weights_sha256": "1a57"},
    },
    "metrics": {},
    "timings": {"fit": 81.25, "evaluate": 2.5},
}

METRICS: dict[str, dict[str, float | None]] = {
    "train": {"train/Loss": 0.125, "lr-Adam": 0.01},
    "val": {"val/Loss": 0.3, "val_accuracy": 0.9375},
    "test": {"test/Loss": 0.28125, "test_accuracy": 0.95, "test/nan": None},
}

TABLE = """epoch,step,train/Loss,val/Loss,val_accuracy
0,10,0.9,,
0,10,,0.8,0.5
1,20,0.5,,
1,20,,0.4,0.75
2,30,0.25,,
2,30,,0.25,0.9
3,40,0.125,,
3,40,,0.3,0.9375
"""


def whole_run(root: Path) -> RunPaths:
    """A completed run in its second attempt, with two pictures."""
    paths = RunPaths(root)
    paths.logs.mkdir(parents=True)
    write_record(paths, RECORD)
    paths.metrics_json.write_text(json.dumps(METRICS))
    paths.metrics_csv.write_text(TABLE)
    paths.manifest.write_text("schema: 1\nname: hello\ncontainer:\n  class: HelloContainer\n")
    paths.console_log.write_text("all went well\n")
    with contextlib.chdir(root):
        add_curve(
            [0, 0.1, 1], [0, 0.9, 1], "ROC", "On the test split", x_label="false positive rate", guide=((0, 1), (0, 1))
        )
        add_figure(np.eye(3), "Confusion", "Rows: truth")
    return paths


def write_record(paths: RunPaths, record: dict[str, Any]) -> None:
    paths.run_json.write_text(json.dumps(record))
