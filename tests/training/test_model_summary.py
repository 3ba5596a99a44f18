"""What run.json says about the size of a model."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from innereye_runtime.training.lightning.model_summary import description_of, summarize_model


class Described(nn.Module):
    """A network
    in two lines.

    And more.
    """


class Inherits(Described):
    pass


def test_layers_are_those_of_the_first_module_that_has_several() -> None:
    module = nn.Sequential(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)))
    module[0][0].requires_grad_(False)
    before = torch.random.get_rng_state()
    assert summarize_model(module) == {
        "parameters": 24,
        "trainable": 8,
        "bytes": 4 * (24 + 8) + 8,  # with the mean, the variance and the count of batches, of eight bytes
        "layers": [
            {"name": "0.0", "class": "Linear", "parameters": 16},
            {"name": "0.1", "class": "BatchNorm1d", "parameters": 8},
        ],
    }
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("module", [nn.Sequential(), nn.Sequential(nn.LazyLinear(3), nn.Linear(3, 1))])
def test_a_size_that_is_not_known_is_left_out(module: nn.Module) -> None:
    assert summarize_model(module) == {}


def test_a_description_is_the_class_s_own_first_paragraph() -> None:
    assert description_of(Described) == "A network\nin two lines."
    assert description_of(Inherits) == ""
