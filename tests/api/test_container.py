from __future__ import annotations

from typing import Any

import pytest

from innereye_runtime import InnerEyeInference, LightningContainer, ModelExecutionMode


def test_what_must_be_overridden_says_so() -> None:
    container = LightningContainer()
    for method in (container.create_model, container.get_data_module):
        with pytest.raises(NotImplementedError, match="must override"):
            method()
    with pytest.raises(NotImplementedError, match="parameter search"):
        container.get_parameter_search_hyperdrive_config(None)
    with pytest.raises(ValueError, match="no model yet"):
        _ = container.model


def test_inference_data_is_what_the_container_names_else_the_same_as_for_training() -> None:
    class Plain(LightningContainer):
        def get_data_module(self) -> Any:
            return "data"

    class Successor(Plain):
        def get_eval_data_module(self) -> Any:
            return "eval data"

    class Seed(Plain):
        def get_inference_data_module(self) -> Any:
            return "inference data"

    found = [cls().get_inference_data_module() for cls in (Plain, Successor, Seed)]
    assert found == [
        "data",
        "data",
        "inference data",
    ]


def test_hooks_do_nothing_by_default() -> None:
    container = LightningContainer()
    container.setup()
    container.before_training_on_global_rank_zero()
    container.before_training_on_local_rank_zero()
    container.before_training_on_all_ranks()
    container.create_report()
    container.update_azure_config(None)
    container.set_model_variant("any")
    assert (container.get_trainer_arguments(), container.get_callbacks()) == ({}, [])
    assert container.get_checkpoint_to_test() is None
    assert container.get_parameter_tuning_args() == container.get_additional_aml_run_tags() == {}
    assert container.get_additional_environment_variables() == {}


def test_the_splits_stand_in_the_order_of_inference() -> None:
    assert [(mode.name, mode.value) for mode in ModelExecutionMode] == [
        ("TRAIN", "Train"),
        ("VAL", "Val"),
        ("TEST", "Test"),
    ]


def test_model_outputs_are_aggregated_by_their_mean(needs: Any) -> None:
    needs("torch")
    import torch

    outputs = [torch.tensor([1.0, 2.0]), torch.tensor([3.0, 6.0]), torch.tensor([5.0, 1.0])]
    mean = InnerEyeInference().aggregate_ensemble_model_outputs(iter(outputs))
    assert mean.tolist() == [3.0, 3.0]
    assert outputs[0].tolist() == [1.0, 2.0]


def test_nothing_to_aggregate_is_an_error() -> None:
    with pytest.raises(ValueError, match="no model outputs"):
        InnerEyeInference().aggregate_ensemble_model_outputs(iter([]))
