"""The trials of a manifest as values, the draws, and who is stopped early."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.sweep.studies import job_of

from innereye_runtime.errors import ManifestError
from innereye_runtime.job.resolve import resolve_job
from innereye_runtime.manifest.loading import parse
from innereye_runtime.manifest.serializer import dump
from innereye_runtime.manifest.sweep import EarlyTermination
from innereye_runtime.sweep.sampling import Study
from innereye_runtime.sweep.termination import TerminationPolicy
from innereye_runtime.sweep.trials import manifest_of, number_of_trials, planned, runs_of

RANDOM = (
    "{sampling_algorithm: {type: random, seed: 3}, limits: {max_total_trials: 200}, search_space: {"
    "x: {type: loguniform, min_value: 1e-4, max_value: 1e-1}, n: {type: randint, upper: 9}}}"
)

CLASSES = """\
import pytorch_lightning as pl


class Encoder:
    def __init__(self, depth: int = 1): ...


class Net(pl.LightningModule):
    def __init__(self, lr: float, encoder: Encoder | None = None): ...
    def test_step(self, batch, batch_idx): ...


class Data(pl.LightningDataModule):
    def __init__(self, fold: int, size: str = ""): ...
"""


def test_a_grid_is_every_combination_in_the_order_of_the_manifest(tmp_path: Path) -> None:
    job = job_of(tmp_path, "{search_space: {x: {values: [1, 2]}, n: {values: [3, 4, 5]}}}")
    expected = [{"x": x, "n": n} for x in (1, 2) for n in (3, 4, 5)]
    assert planned(job.manifest) == expected
    limited = job_of(
        tmp_path, "{search_space: {x: {values: [1, 2]}, n: {values: [3, 4, 5]}}, limits: {max_total_trials: 4}}"
    )
    assert planned(limited.manifest) == expected[:4]
    assert number_of_trials(limited.manifest) == 4


def test_ten_thousand_trials_are_planned_at_once(tmp_path: Path) -> None:
    values = "[" + ", ".join(map(str, range(1, 10))) + "]"
    xs = "[" + ", ".join(map(str, range(1200))) + "]"
    job = job_of(tmp_path, f"{{search_space: {{x: {{values: {xs}}}, n: {{values: {values}}}}}}}")
    found = planned(job.manifest)
    assert found is not None
    assert len(found) == 10_800


def test_random_draws_are_the_same_for_a_seed_and_lie_in_the_space(tmp_path: Path, needs: Callable[..., None]) -> None:
    needs("optuna")
    text = RANDOM.replace("n: {type: randint, upper: 9}", "n: {type: quniform, min_value: 1, max_value: 9, q: 2}")
    job = job_of(tmp_path, text)
    found = planned(job.manifest)
    assert found is not None
    assert found == planned(job.manifest)
    assert {one["n"] for one in found} == {2, 4, 6, 8}
    assert all(isinstance(one["n"], int) and 1e-4 <= one["x"] <= 1e-1 for one in found)
    small = sum(one["x"] < 10**-2.5 for one in found)
    assert 70 < small < 130, "half of them, where the logarithm is uniform"
    other = job_of(tmp_path, text.replace("seed: 3", "seed: 4"))
    assert planned(other.manifest) != found


def test_each_fold_of_each_trial_is_a_run(tmp_path: Path) -> None:
    job = job_of(tmp_path, "{search_space: {x: {values: [1, 2]}}}", "cross_validation: {splits: 3}")
    runs = [
        run for group, values in enumerate(planned(job.manifest) or ()) for run in runs_of(job.manifest, group, values)
    ]
    assert [(run.name, run.group, run.fold, run.parameters["x"]) for run in runs] == [
        *(("000", 0, 0, 1), ("001", 0, 1, 1), ("002", 0, 2, 1), ("003", 1, 0, 2), ("004", 1, 1, 2), ("005", 1, 2, 2))
    ]
    args = manifest_of(job.manifest, runs[4]).container.args
    assert args == {"x": 2, "number_of_cross_validation_splits": 3, "cross_validation_split_index": 1}


def test_the_manifest_of_a_trial_is_that_of_an_ordinary_job(tmp_path: Path) -> None:
    space = "x: {values: [1]}, trainer.num_epochs: {values: [7]}, trainer.arguments.gradient_clip_val: {values: [0.5]}"
    more = ("trainer: {num_epochs: 3, arguments: {precision: 64}}", "dataset: {id: a, local: d}")
    job = job_of(tmp_path, f"{{search_space: {{{space}, dataset.local: {{values: [e]}}}}}}", *more)
    run = runs_of(job.manifest, 0, (planned(job.manifest) or [])[0])[0]
    loaded = parse(dump(manifest_of(job.manifest, run)).encode(), path=tmp_path / "elsewhere" / "m.yaml", source="m")
    assert loaded.diagnostics == ()
    manifest = loaded.manifest
    assert manifest is not None
    assert (manifest.sweep, manifest.name, manifest.container.args) == (None, "s-000", {"x": 1})
    assert (manifest.trainer.num_epochs, manifest.trainer.arguments) == (7, {"precision": 64, "gradient_clip_val": 0.5})
    assert manifest.datasets[0].local == tmp_path / "e"


def test_arguments_of_a_model_and_its_data_differ_between_trials_and_folds(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(CLASSES)
    text = """\
schema: 1
model: {class: "mine:Net", args: {encoder: {class: "mine:Encoder"}}}
data: {class: "mine:Data", args: {fold: "${fold}"}}
sweep: {search_space: {model.lr: {values: [0.1, 1]}, model.encoder.depth: {values: [3]}, data.size: {values: [a]}}}
cross_validation: {splits: 2}
"""
    (tmp_path / "s.yaml").write_text(text)
    manifest = resolve_job(tmp_path / "s.yaml", cwd=tmp_path).manifest
    run = runs_of(manifest, 1, (planned(manifest) or [])[1])[1]
    (tmp_path / "trial.yaml").write_text(dump(manifest_of(manifest, run)))
    trial = resolve_job(tmp_path / "trial.yaml", cwd=tmp_path)
    assert trial.manifest.model is not None
    assert trial.manifest.data is not None
    assert trial.manifest.model.args == {"lr": 1, "encoder": {"class": "mine:Encoder", "args": {"depth": 3}}}
    assert trial.manifest.data.args == {"fold": "${fold}", "size": "a"}
    assert trial.arguments["cross_validation_split_index"].value == 1


@pytest.mark.parametrize(
    ("space", "codes"),
    [
        ("n: {values: [1, 2.5, 10]}", ["E303", "E304"]),
        ("n: {type: randint, upper: 3}", ["E304"]),
        (f"n: {{values: {list(range(100, 200))}}}", ["E304"] * 5),
        ("m: {values: [1]}", ["E301"]),
        ("x: {values: [a]}, n: {values: [1], q: 3}", ["E303", "E215"]),
    ],
)
def test_values_that_the_container_does_not_take_are_told_before_anything_starts(
    tmp_path: Path, space: str, codes: list[str]
) -> None:
    with pytest.raises(ManifestError) as refused:
        job_of(tmp_path, f"{{search_space: {{{space}}}, sampling_algorithm: random, limits: {{max_total_trials: 2}}}}")
    assert [one.code for one in refused.value.diagnostics if one.severity == "error"] == codes


def test_a_bayesian_search_is_optunas_own(tmp_path: Path, needs: Callable[..., None]) -> None:
    needs("optuna")
    import optuna

    text = (
        "{sampling_algorithm: {type: bayesian, seed: 5}, objective: {primary_metric: f}, "
        "limits: {max_total_trials: 30}, "
        "search_space: {x: {type: uniform, min_value: -5, max_value: 5}, n: {values: [1, 2, 3]}}}"
    )
    sweep = job_of(tmp_path, text).manifest.sweep
    assert sweep is not None
    study = Study(sweep, tmp_path, known=0, parallel=False)
    mine = []
    for group in range(30):
        values = study.ask(group)
        study.tell(group, values, (values["x"] - 1) ** 2 + values["n"])
        mine.append((values["x"], values["n"]))

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    direct = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=5))
    direct.optimize(
        lambda trial: (trial.suggest_float("x", -5, 5) - 1) ** 2 + (trial.suggest_categorical("n", [0, 1, 2]) + 1), 30
    )
    assert mine == [(trial.params["x"], trial.params["n"] + 1) for trial in direct.trials]
    random = job_of(tmp_path, text.replace("bayesian", "random")).manifest
    best_of_random = min((one["x"] - 1) ** 2 + one["n"] for one in planned(random) or ())
    assert min((x - 1) ** 2 + n for x, n in mine) < best_of_random


def test_a_bayesian_search_goes_on_from_what_it_knows(tmp_path: Path, needs: Callable[..., None]) -> None:
    needs("optuna")
    text = (
        "{sampling_algorithm: bayesian, limits: {max_total_trials: 9}, objective: {primary_metric: f},"
        "search_space: {x: {type: quniform, min_value: 0, max_value: 1, q: 0.1}, n: {values: [1, 2]}}}"
    )
    sweep = job_of(tmp_path, text).manifest.sweep
    assert sweep is not None
    first = Study(sweep, tmp_path, known=0, parallel=True)
    known = [first.ask(group) for group in range(3)]
    again = Study(sweep, tmp_path, known=3, parallel=True)
    for group, values in enumerate(known):
        again.tell(group, values, None if group == 1 else 0.5)
    assert again.ask(3) not in known
    told = again._study.get_trials()
    assert [trial.state.name for trial in told] == ["COMPLETE", "FAIL", "COMPLETE", "RUNNING"]


def losers(settings: EarlyTermination, histories: dict[str, list[float]], *, maximize: bool = False) -> list[str]:
    return sorted(TerminationPolicy(settings, maximize=maximize).losers(histories, list(histories)))


def test_early_termination_is_by_azures_definitions() -> None:
    histories = {"a": [1.0, 0.5], "b": [1.0, 0.6], "c": [2.0, 1.9], "d": [9.0]}
    median = EarlyTermination(type="median_stopping", delay_evaluation=2)
    assert losers(median, histories) == ["c"]
    assert losers(EarlyTermination(type="median_stopping", delay_evaluation=3), histories) == []
    assert losers(EarlyTermination(type="bandit", slack_amount=0.05, delay_evaluation=2), histories) == ["b", "c"]
    assert losers(EarlyTermination(type="bandit", slack_factor=0.25, delay_evaluation=2), histories) == ["c"]
    truncation = EarlyTermination(type="truncation_selection", truncation_percentage=34, delay_evaluation=2)
    assert losers(truncation, histories) == ["c"]
    assert losers(EarlyTermination(type="bandit", slack_factor=0.2), {"a": [0.8], "b": [0.66]}, maximize=True) == ["b"]
    assert losers(EarlyTermination(type="bandit", slack_factor=0.2), {"a": [0.8], "b": [0.67]}, maximize=True) == []


def test_a_trial_is_judged_once_at_each_evaluation() -> None:
    policy = TerminationPolicy(EarlyTermination(evaluation_interval=2), maximize=False)
    assert policy.losers({"a": [1.0], "b": [5.0]}, ["b"]) == {}
    assert "after 2 epochs" in policy.losers({"a": [1.0, 1.0], "b": [5.0, 5.0]}, ["b"])["b"]
    assert policy.losers({"a": [1.0, 1.0], "b": [5.0, 5.0, 5.0]}, ["b"]) == {}
