"""manifests/hello.yaml as a user runs it, and the figures it reports, computed once more."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.examples.shipped import ROOT, run_manifest

TABLE = ROOT / "data" / "hello" / "breast_cancer.csv"


@pytest.fixture(scope="module")
def run(needs: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Path:
    needs("torch")
    return run_manifest("hello", tmp_path_factory.mktemp("hello"), timeout=300)


def held_back() -> tuple[Any, Any]:
    """Standardised features of the test patients and whether each is malignant: every fifth of either diagnosis."""
    with TABLE.open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header[-1] == "diagnosis"
    malignant = np.array([row[-1] == "malignant" for row in rows])
    features = np.array([row[:-1] for row in rows], dtype=float)
    rank = np.where(malignant, malignant.cumsum() - 1, (~malignant).cumsum() - 1) % 5
    training = features[rank >= 2]
    return ((features - training.mean(0)) / training.std(0))[rank == 0], malignant[rank == 0]


def logits_by_hand(run: Path, features: Any) -> Any:
    """The network of best.ckpt in numpy: linear layers, batch normalisation with its running statistics, ReLU."""
    import torch

    state = torch.load(run / "checkpoints" / "best.ckpt", map_location="cpu", weights_only=False)["state_dict"]
    weights = {name: value.double().numpy() for name, value in state.items()}
    values = features
    for layer in range(0, len({name.split(".")[1] for name in weights}) // 2 * 3, 3):
        values = values @ weights[f"layers.{layer}.weight"].T + weights[f"layers.{layer}.bias"]
        norm = f"layers.{layer + 1}."
        values = (values - weights[norm + "running_mean"]) / np.sqrt(weights[norm + "running_var"] + 1e-5)
        values = np.maximum(values * weights[norm + "weight"] + weights[norm + "bias"], 0)
    last = f"layers.{layer + 3}."
    return (values @ weights[last + "weight"].T + weights[last + "bias"]).ravel()


def test_the_reported_accuracy_and_auc_are_those_of_the_best_checkpoint(run: Path) -> None:
    features, malignant = held_back()
    logits = logits_by_hand(run, features)
    accuracy = ((logits > 0) == malignant).mean()
    pairs = logits[malignant][:, None] - logits[~malignant][None, :]
    auc = (pairs > 0).mean() + (pairs == 0).mean() / 2
    reported = json.loads((run / "metrics.json").read_text())["test"]
    assert reported == {
        "test/accuracy": pytest.approx(accuracy, abs=1e-6),
        "test/auc": pytest.approx(auc, abs=1e-6),
    }
    assert accuracy >= 0.95
    assert auc >= 0.98


def test_the_roc_curve_is_in_the_report(run: Path) -> None:
    (figure,) = json.loads((run / "figures" / "figures.json").read_text())["figures"]
    assert figure["curve"]["points"][0] == [0, 0]
    assert figure["curve"]["points"][-1] == [1, 1]
    html = (run / "report.html").read_text()
    assert "ROC on the test split" in html
    assert "true positive rate" in html


@pytest.mark.usefixtures("needs_torch")
def test_a_parameter_from_the_command_line_changes_the_network(tmp_path: Path) -> None:
    import torch

    run = run_manifest("hello", tmp_path, "--smoke", "--num_layers=7", timeout=300)
    state = torch.load(run / "checkpoints" / "last.ckpt", map_location="cpu", weights_only=False)["state_dict"]
    assert sum(value.ndim == 2 for value in state.values()) == 8
    assert json.loads((run / "run.json").read_text())["arguments"]["num_layers"] == {
        "value": 7,
        "origin": "command line",
    }


@pytest.mark.usefixtures("needs_torch")
def test_splits_are_disjoint_whole_and_of_equal_shares() -> None:
    from innereye_runtime.examples.hello import HelloData

    data = HelloData(TABLE, batch_size=32)
    data.setup("fit")
    tensors = {name: split.tensors for name, split in data.splits.items()}
    assert {name: len(labels) for name, (_, labels) in tensors.items()} == {"train": 339, "val": 115, "test": 115}
    rows = np.concatenate([features.numpy() for features, _ in tensors.values()])
    assert len(np.unique(rows, axis=0)) == 569
    for _, labels in tensors.values():
        assert float(labels.mean()) == pytest.approx(212 / 569, abs=0.005)
    assert np.abs(tensors["train"][0].numpy().mean(0)).max() < 1e-5


@pytest.mark.usefixtures("needs_torch")
def test_the_roc_has_a_point_for_each_distinct_score() -> None:
    import torch

    from innereye_runtime.examples.hello import roc

    false_positives, true_positives = roc(torch.tensor([0.9, 0.5, 0.5, 0.1]), torch.tensor([1.0, 1.0, 0.0, 0.0]))
    assert false_positives.tolist() == [0, 0, 0.5, 1]
    assert true_positives.tolist() == [0, 0.5, 1, 1]


def test_the_table_is_the_one_that_scikit_learn_ships(needs: Callable[..., None]) -> None:
    needs("nilearn")  # which brings scikit-learn
    from sklearn.datasets import load_breast_cancer

    original = load_breast_cancer()
    with TABLE.open(newline="") as file:
        header, *rows = csv.reader(file)
    names = [name.split() for name in original.feature_names]
    expected = ["_".join([words[-1], *words[:-1]] if words[-1] == "error" else words) for words in names]
    assert header == [*expected, "diagnosis"]
    assert (np.array([row[:-1] for row in rows], dtype=float) == original.data).all()
    assert [row[-1] for row in rows] == original.target_names[original.target].tolist()


@pytest.mark.usefixtures("needs_torch")
def test_hello_needs_no_package_beyond_those_of_training() -> None:
    script = (
        "import sys, innereye_runtime.examples.hello as hello, pathlib\n"
        "hello.HelloData(pathlib.Path(sys.argv[1]), 32).setup('fit')\n"
        "hello.HelloModel(2, 8)\n"
        "assert not {'nilearn', 'sklearn', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script, str(TABLE)], check=True, timeout=120)
