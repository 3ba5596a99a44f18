"""The trainer that a container gets: what it asks for itself, in the words of today's Lightning or of Lightning 1."""

from __future__ import annotations

import csv
import logging
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning.callbacks import Callback, ModelCheckpoint, ModelSummary, TQDMProgressBar
from pytorch_lightning.loggers import CSVLogger
from tests.training.harness import train
from tests.training.models import Model
from tests.training.test_extra_state import Container

from innereye_runtime.compat.trainer_args import container_arguments, known_arguments
from innereye_runtime.errors import PreflightError, UsageError


class ByStep(Model):
    def training_step(self, batch: Any, batch_idx: int) -> Any:
        loss = super().training_step(batch, batch_idx)
        self.log("train/by_step", loss)
        return loss


pytestmark = pytest.mark.filterwarnings("ignore")  # Lightning's remarks on workers and logging intervals


@pytest.mark.parametrize(
    ("old", "today"),
    [
        ({"weights_summary": "top"}, {"enable_model_summary": True}),
        ({"weights_summary": None}, {"enable_model_summary": False}),
        ({"terminate_on_nan": True}, {"detect_anomaly": True}),
        ({"replace_sampler_ddp": False}, {"use_distributed_sampler": False}),
        ({"reload_dataloaders_every_epoch": True}, {"reload_dataloaders_every_n_epochs": 1}),
        ({"gpus": 1, "accelerator": "ddp", "progress_bar_refresh_rate": 0, "checkpoint_callback": False}, {}),
        ({"resume_from_checkpoint": None, "auto_lr_find": False}, {}),
        ({"default_root_dir": "/tmp", "gradient_clip_val": 1}, {"gradient_clip_val": 1}),
        ({"strategy": "ddp", "accelerator": "cpu"}, {"strategy": "ddp", "accelerator": "cpu"}),
        ({"accelerator": "cpu", "devices": 2}, {"accelerator": "cpu", "devices": 2}),
    ],
    ids=str,
)
def test_arguments_of_lightning_1_are_taken_as_todays(
    old: dict[str, Any], today: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger("innereye_runtime").propagate = True
    with caplog.at_level(logging.INFO, "innereye_runtime"):
        assert container_arguments(old, "Mine") == today
    told = {name for name, value in old.items() if name not in today and value is not None}
    assert all(f"Mine: '{name}'" in caplog.text for name in told - {"auto_lr_find"})


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("resume_from_checkpoint", "x.ckpt", "src_checkpoint"),
        ("auto_lr_find", True, "LearningRateFinder"),
        ("stochastic_weight_avg", True, "StochasticWeightAveraging"),
        ("multiple_trainloader_mode", "min_size", "CombinedLoader"),
    ],
)
def test_what_comes_another_way_today_is_told_with_the_way(name: str, value: Any, remedy: str) -> None:
    with pytest.raises(UsageError, match=f"Mine: '{name}' is a Trainer argument of Lightning 1") as error:
        container_arguments({name: value}, "Mine")
    assert remedy in error.value.hint


def test_gradients_accumulated_by_epoch_are_logged_in_every_epoch(tmp_path: Path) -> None:
    by_epoch = {"accumulate_grad_batches": {1: 3}, "callbacks": Callback()}
    container = Container(arguments=by_epoch, model=ByStep)
    container.pl_log_every_n_steps = 50
    assert train(container, tmp_path).trainer.global_step == 5 + 2 + 2  # of 5 batches
    rows = list(csv.DictReader((tmp_path / "metrics.csv").open()))
    assert [row["epoch"] for row in rows if row["train/by_step"]] == ["0", "1", "2"]


def test_an_unknown_argument_is_told_with_the_near_match() -> None:
    for take in (container_arguments, known_arguments):
        with pytest.raises(UsageError, match="no argument 'gradient_clip_vol'") as error:
            take({"gradient_clip_vol": 1}, "Mine")
        assert error.value.hint == "did you mean 'gradient_clip_val'?"


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        ({"precision": "17"}, "'17' is invalid"),
        ({"gradient_clip_val": "big"}, "should be an int or a float"),
        ({"gradient_clip_algorithm": "nope"}, "nope is invalid"),
        ({"val_check_interval": 2.5}, "invalid value 2.5"),
        ({"accumulate_grad_batches": 0}, "has to be at least 1"),
    ],
    ids=str,
)
def test_a_value_that_the_trainer_does_not_take_is_told_with_its_places(
    tmp_path: Path, argument: dict[str, Any], says: str
) -> None:
    with pytest.raises(UsageError, match=f"Trainer does not take its arguments: .*{says}") as error:
        train(Container(arguments=argument), tmp_path)
    assert error.value.hint == "look at trainer.arguments in the manifest, and at Container.get_trainer_arguments()"


@pytest.mark.parametrize("accelerator", ["gpu", "cuda"])
def test_an_accelerator_that_is_not_here_is_told_as_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, accelerator: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(PreflightError, match=rf"get_trainer_arguments\(\) requests the accelerator '{accelerator}'"):
        train(Container(arguments={"accelerator": accelerator}), tmp_path)


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"RANK": "1", "WORLD_SIZE": "4", "LOCAL_RANK": "1"}, "torchrun started this process as rank 1, one of 4"),
        ({"SLURM_PROCID": "1", "SLURM_NTASKS": "4"}, "Slurm started this process as rank 1, one of 4"),
        ({"NODE_RANK": "1"}, "a launcher that sets NODE_RANK started this process as rank 1, one of several"),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "4"}, ""),  # in a batch script, without srun
    ],
)
def test_a_rank_that_the_trainer_does_not_have_is_refused_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], says: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SLURM_NTASKS_PER_NODE", "4")  # Lightning itself asks for it
    if not says:
        assert train(Container(arguments={"max_epochs": 1}), tmp_path).progress.epochs == 1
        return
    with pytest.raises(UsageError, match=f"{says}, and the trainer has 1"):
        train(Container(), tmp_path)


def test_checkpoints_of_the_users_own_lie_beside_those_of_the_run(tmp_path: Path) -> None:
    def own() -> list[Callback]:
        return [
            ModelCheckpoint(monitor="val/loss", save_last=True),
            ModelCheckpoint(dirpath="checkpoints", filename="best", monitor="train/loss"),
            ModelCheckpoint(dirpath="elsewhere", filename="last"),
        ]

    done = train(Container(callbacks=own), tmp_path)
    assert done.progress.epochs == 3
    files = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.ckpt"))
    assert [name for name in files if "epoch=" not in name] == [
        "checkpoints/ModelCheckpoint-best.ckpt",
        "checkpoints/ModelCheckpoint-last.ckpt",
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
        "elsewhere/last.ckpt",
    ]
    assert all(Path(name).parent == Path("checkpoints") for name in files if "epoch=" in name)


@pytest.mark.parametrize(("origin", "epochs"), [("class", 2), ("default", 2), ("manifest", 3), ("command line", 3)])
def test_epochs_that_are_asked_for_win_over_the_containers_trainer_arguments(
    tmp_path: Path, origin: str, epochs: int
) -> None:
    done = train(Container(arguments={"max_epochs": 2}), tmp_path, epochs_from=origin)
    assert done.progress.epochs == epochs


def test_the_models_logger_is_the_one_with_pictures(tmp_path: Path) -> None:
    done = train(Container(arguments={"max_epochs": 1}), tmp_path)
    assert hasattr(done.trainer.logger.experiment, "add_image")  # type: ignore[union-attr]


class Tracker(CSVLogger):
    """Refuses some metrics, or everything."""

    def __init__(self, folder: Path, refused: str) -> None:
        super().__init__(str(folder), name="own", version="")
        self.refused, self.calls, self.arrived = refused, 0, set[str]()

    @property
    def experiment(self) -> Any:
        return self

    def log_metrics(self, metrics: Any, step: int | None = None) -> None:  # type: ignore[override]
        self.calls += 1
        if any(re.fullmatch(self.refused, name) for name in metrics):
            raise OSError("refused")
        self.arrived |= set(metrics)

    def log_hyperparams(self, params: Any) -> None:  # type: ignore[override]
        self.parameters = params

    def finalize(self, status: str) -> None:
        raise OSError("no route")


class Bar(TQDMProgressBar):
    ended = False

    def on_train_end(self, *_: Any) -> None:
        self.ended = True


def test_what_the_user_brings_comes_first_and_ends_no_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    picky, gone = Tracker(tmp_path, "val/loss"), Tracker(tmp_path, ".*")
    bar, summary = Bar(refresh_rate=0), ModelSummary()
    arguments = {"logger": (each for each in (picky, gone)), "log_every_n_steps": 1, "max_epochs": 2}
    logging.getLogger("innereye_runtime").propagate = True
    with caplog.at_level(logging.WARNING, "innereye_runtime"):
        done = train(Container(arguments=arguments, callbacks=lambda: [bar, summary], model=ByStep), tmp_path)
    trainer = done.trainer
    assert trainer.logger is picky
    assert [type(logger).__name__ for logger in trainer.loggers] == [
        "Tracker",
        "Tracker",
        "TensorBoardLogger",
        "MetricsTable",
    ]
    assert all(hasattr(logger, "experiment") for logger in trainer.loggers)
    assert trainer.progress_bar_callback is bar and bar.ended
    assert {"train/loss", "train/by_step", "epoch"} <= picky.arrived and "val/loss" not in picky.arrived
    assert gone.calls < 12
    assert not hasattr(picky, "parameters"), "Lightning gives it none"
    runtimes = [each for each in vars(trainer)["callbacks"] if type(each).__module__.startswith("innereye_runtime")]
    assert len(runtimes) > 5
    for hook in ("on_before_backward", "on_after_backward", "on_before_zero_grad"):  # each call takes time
        assert not any(callable(getattr(each, hook)) for each in runtimes), "none has this hook"
        assert callable(getattr(bar, hook)) and callable(getattr(Callback, hook))
    told = [record.getMessage() for record in caplog.records if "Tracker" in record.getMessage()]
    assert sorted(told) == [
        "warning: Tracker.finalize failed (no route); metrics.csv has all metrics",
        "warning: Tracker.finalize failed (no route); metrics.csv has all metrics",
        "warning: Tracker.log_metrics failed (refused); metrics.csv has all metrics",
        "warning: Tracker.log_metrics of 'val/loss' failed (refused); metrics.csv has all metrics",
    ]


@pytest.mark.parametrize(("given", "what"), [(CSVLogger, "the class CSVLogger"), ([3], "a int"), ("csv", "a str")])
def test_a_logger_that_is_none_is_told(tmp_path: Path, given: Any, what: str) -> None:
    with pytest.raises(UsageError, match=rf"get_trainer_arguments\(\): 'logger' is {what}, not a Logger"):
        train(Container(arguments={"logger": given}), tmp_path)
