from __future__ import annotations

from multiprocessing import get_all_start_methods
from pathlib import Path
from typing import Any

import pytest

from innereye_runtime import (
    DatasetParams,
    LightningContainer,
    OptimizerParams,
    OutputParams,
    TrainerParams,
    WorkflowParams,
)
from innereye_runtime.api.params.generic_config import GenericConfig
from innereye_runtime.api.params.workflow_params import MultiprocessingStartMethod
from innereye_runtime.parameters.from_class import parameters_of

DEFAULTS: dict[type, dict[str, Any]] = {
    WorkflowParams: {
        "random_seed": 42,
        "number_of_cross_validation_splits": 0,
        "cross_validation_split_index": -1,
        "inference_on_train_set": None,
        "inference_on_val_set": None,
        "inference_on_test_set": None,
        "ensemble_inference_on_train_set": None,
        "ensemble_inference_on_val_set": None,
        "ensemble_inference_on_test_set": None,
        "ensemble_average": "outputs",
        "inference_forward": "item",
        "weights_url": [],
        "weights_url_allow_http": False,
        "local_weights_path": [],
        "model_id": "",
        "src_checkpoint": "",
        "checkpoint_monitor": "",
        "checkpoint_mode": "auto",
        "generate_report": True,
        "pretraining_run_recovery_id": None,
        "multiprocessing_start_method": "fork",
        "monitoring_interval_seconds": 0,
        "regression_test_folder": None,
        "regression_test_csv_tolerance": 0.0,
        "predict": True,
        "run_inference_only": False,
        "resume_training": False,
        "model_variant": "",
        "different_seeds": 0,
        "run_extra_val_epoch": False,
        "eval_full": False,
        "regression_metrics": "",
        "experiment": "",
        "tag": "",
        "datastore": "",
        "crossval_count": 1,
        "crossval_index": None,
    },
    DatasetParams: {
        "azure_dataset_id": "",
        "local_dataset": None,
        "extra_azure_dataset_ids": [],
        "extra_local_dataset_paths": [],
        "dataset_mountpoint": "",
        "extra_dataset_mountpoints": [],
        "azure_datasets": [],
        "local_datasets": [],
        "dataset_mountpoints": [],
    },
    OutputParams: {"output_to": ""},
    OptimizerParams: {
        "l_rate": 1e-4,
        "min_l_rate": 0.0,
        "l_rate_scheduler": "Polynomial",
        "l_rate_exponential_gamma": 0.9,
        "l_rate_step_gamma": 0.1,
        "l_rate_step_step_size": 50,
        "l_rate_multi_step_gamma": 0.1,
        "l_rate_multi_step_milestones": None,
        "l_rate_polynomial_gamma": 1e-4,
        "l_rate_warmup": "NoWarmUp",
        "l_rate_warmup_epochs": 0,
        "optimizer_type": "Adam",
        "opt_eps": 1e-4,
        "rms_alpha": 0.9,
        "adam_betas": (0.9, 0.999),
        "momentum": 0.6,
        "weight_decay": 1e-4,
    },
    TrainerParams: {
        "num_epochs": 100,
        "max_epochs": 100,
        "autosave_every_n_val_epochs": 1,
        "detect_anomaly": False,
        "use_mixed_precision": False,
        "max_num_gpus": -1,
        "pl_progress_bar_refresh_rate": None,
        "pl_num_sanity_val_steps": 0,
        "pl_deterministic": False,
        "pl_find_unused_parameters": False,
        "pl_limit_train_batches": None,
        "pl_limit_val_batches": None,
        "pl_limit_test_batches": None,
        "pl_fast_dev_run": None,
        "pl_accumulate_grad_batches": 1,
        "pl_log_every_n_steps": 50,
        "pl_sync_batchnorm": True,
        "pl_profiler": None,
        "pl_check_val_every_n_epoch": 1,
        "monitor_gpu": False,
        "monitor_loading": False,
        "monitor_training": False,
        "pl_replace_sampler_ddp": True,
        "pl_static_graph": False,
        "max_num_gpus_inference": 1,
    },
}


@pytest.mark.parametrize("cls", DEFAULTS, ids=lambda cls: cls.__name__)
def test_each_class_has_the_parameters_and_defaults_of_the_contract(cls: type) -> None:
    found = {name: parameter.default for name, parameter in parameters_of(cls).items()}
    assert found == DEFAULTS[cls]
    assert all(parameter.doc and parameter.settable for parameter in parameters_of(cls).values())


def test_a_container_has_the_parameters_of_all_classes() -> None:
    assert parameters_of(LightningContainer).keys() == {name for names in DEFAULTS.values() for name in names}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("l_rate", -1e-3),
        ("num_epochs", 0),
        ("number_of_cross_validation_splits", -1),
        ("l_rate_step_step_size", 0),
        ("monitoring_interval_seconds", -1),
        ("local_dataset", 3),
        ("inference_forward", "second"),
        ("extra_azure_dataset_ids", [1]),
        ("adam_betas", (0.9,)),
    ],
)
def test_a_value_that_a_parameter_does_not_take_is_refused_when_it_is_set(name: str, value: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        setattr(LightningContainer(), name, value)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"number_of_cross_validation_splits": 1}, "at least 2"),
        ({"cross_validation_split_index": 0}, "must be -1"),
        ({"number_of_cross_validation_splits": 3, "cross_validation_split_index": 3}, "less than"),
        ({"weights_url": ["https://x/y"], "model_id": "m:1"}, "at most one"),
        ({"weights_url": ["https://x/y"], "local_weights_path": [Path("a")]}, "weights_url and local_weights_path"),
        ({"model_id": "m"}, "name:version"),
        ({"azure_dataset_id": "a", "local_dataset": "x", "extra_local_dataset_paths": ["y"]}, "differ in number"),
        (
            {"azure_dataset_id": "a", "dataset_mountpoint": "/a", "extra_dataset_mountpoints": ["b"]},
            "differ in number",
        ),
        ({"extra_azure_dataset_ids": ["a"]}, "without azure_dataset_id"),
        ({"l_rate_scheduler": "MultiStep"}, "needs l_rate_multi_step_milestones"),
        ({"l_rate_multi_step_milestones": [3, 3]}, "rising"),
        ({"l_rate_multi_step_milestones": [0, 3]}, "positive"),
        ({"min_l_rate": 1e-2, "l_rate": 1e-3}, "at most l_rate"),
    ],
)
def test_parameters_that_contradict_each_other_are_refused(values: dict[str, Any], sentence: str) -> None:
    from innereye_runtime import LRSchedulerType

    if "l_rate_scheduler" in values:
        values = values | {"l_rate_scheduler": LRSchedulerType.MultiStep}
    with pytest.raises(ValueError, match=sentence):
        LightningContainer(**values)


def test_a_container_without_any_dataset_is_fine() -> None:
    LightningContainer().validate()


@pytest.mark.parametrize(("splits", "index", "seed"), [(0, -1, 42), (5, -1, 42), (5, 0, 42), (5, 3, 45)])
def test_the_seed_is_that_of_the_split(splits: int, index: int, seed: int) -> None:
    container = LightningContainer(number_of_cross_validation_splits=splits, cross_validation_split_index=index)
    assert container.effective_random_seed == container.get_effective_random_seed() == seed


def test_text_is_taken_as_a_path_and_empty_text_as_none() -> None:
    container = LightningContainer(local_dataset="/some/path", extra_local_dataset_paths=["/other"])
    assert container.local_dataset == Path("/some/path")
    assert container.extra_local_dataset_paths == [Path("/other")]
    container.local_dataset = ""  # type: ignore[assignment]
    assert container.local_dataset is None


def test_both_generations_names_mean_the_same_parameter() -> None:
    container = LightningContainer(max_epochs=7, crossval_count=4, crossval_index=2, local_datasets=["/a", "/b"])
    assert container.num_epochs == container.max_epochs == 7
    assert (container.number_of_cross_validation_splits, container.cross_validation_split_index) == (4, 2)
    assert container.local_dataset == Path("/a")
    assert container.extra_local_dataset_paths == [Path("/b")]
    container.num_epochs = 9
    container.cross_validation_split_index = -1
    container.number_of_cross_validation_splits = 0
    assert (container.max_epochs, container.crossval_index, container.crossval_count) == (9, None, 1)


def test_names_of_datasets_that_are_empty_do_not_count() -> None:
    container = LightningContainer(
        azure_dataset_id="a",
        extra_azure_dataset_ids=["", "b"],
        dataset_mountpoint="/a",
        extra_dataset_mountpoints=["/b"],
    )
    assert container.all_azure_dataset_ids() == ["a", "b"]
    assert container.all_dataset_mountpoints() == ["/a", "/b"]
    assert container.all_local_dataset_paths() == []


def test_the_rules_of_a_mix_in_hold_too() -> None:
    class Config(GenericConfig):
        def validate(self) -> None:
            super().validate()
            raise ValueError("the mix-in's own rule")

    class Mixed(LightningContainer, Config):
        pass

    with pytest.raises(ValueError, match="the mix-in's own rule"):
        Mixed()


def test_workers_start_in_a_way_that_python_has() -> None:
    assert {method.value for method in MultiprocessingStartMethod} == set(get_all_start_methods())


def test_a_run_folder_has_its_folders_below_it() -> None:
    container = LightningContainer(output_to="/run")
    assert container.model_name == "LightningContainer"
    assert container.outputs_folder == Path("/run")
    assert container.logs_folder == Path("/run/logs")
    assert container.checkpoint_folder == Path("/run/checkpoints")
    assert container.visualization_folder == Path("/run/visualizations")
    container.model_name = "Named"
    assert container.model_name == "Named"


def test_a_keyword_that_is_no_parameter_is_told_with_the_near_match() -> None:
    with pytest.warns(UserWarning, match="num_epoch.*did you mean 'num_epochs'"):
        container = LightningContainer(num_epoch=3)
    assert container.num_epochs == 100
    with pytest.raises(ValueError, match="num_epoch"):
        LightningContainer(throw_if_unknown_param=True, num_epoch=3)


def test_instances_do_not_share_lists() -> None:
    LightningContainer().weights_url.append("x")
    assert LightningContainer().weights_url == []


def test_one_url_alone_is_a_list_of_it() -> None:
    class InTheClass(LightningContainer):
        weights_url = "https://host/a,b.ckpt"

    class InItsInit(LightningContainer):
        def __init__(self) -> None:
            super().__init__()
            self.weights_url = "https://host/a,b.ckpt"

    found = [each.weights_url for each in (InTheClass(), InItsInit(), LightningContainer(weights_url=""))]
    assert found == [["https://host/a,b.ckpt"], ["https://host/a,b.ckpt"], []]
