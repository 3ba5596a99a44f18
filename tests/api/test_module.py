from __future__ import annotations

from typing import Any

import pytest

from innereye_runtime import LightningContainer, OptimizerType


@pytest.mark.parametrize("kind", OptimizerType)
def test_the_container_hands_its_optimizer_over(kind: OptimizerType, needs: Any) -> None:
    needs("torch")
    import torch

    from innereye_runtime import LightningModuleWithOptimizer

    class Model(LightningModuleWithOptimizer):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(2, 1)
            self.layer.bias.requires_grad = False

    class Container(LightningContainer):
        def create_model(self) -> Any:
            return Model()

    container = Container(optimizer_type=kind, l_rate=0.3, weight_decay=0.2, momentum=0.7, opt_eps=1e-3, rms_alpha=0.8)
    container.adam_betas = (0.5, 0.6)
    container.create_lightning_module_and_store()
    [optimizer], [scheduler] = container.model.configure_optimizers()
    group = optimizer.param_groups[0]
    assert type(optimizer).__name__ == {"AMSGrad": "Adam"}.get(kind.value, kind.value)
    assert [weight.shape for weight in group["params"]] == [(1, 2)]
    expected = {"initial_lr": 0.3, "weight_decay": 0.2}
    if kind in (OptimizerType.Adam, OptimizerType.AMSGrad):
        expected |= {"betas": (0.5, 0.6), "eps": 1e-3, "amsgrad": kind is OptimizerType.AMSGrad}
    if kind is OptimizerType.SGD:
        expected |= {"momentum": 0.7}
    if kind is OptimizerType.RMSprop:
        expected |= {"momentum": 0.7, "alpha": 0.8, "eps": 1e-3}
    assert {name: group[name] for name in expected} == expected
    assert scheduler["interval"] == "epoch"


def test_a_module_without_parameters_says_so(needs: Any) -> None:
    needs("torch")
    from innereye_runtime import LightningModuleWithOptimizer

    with pytest.raises(RuntimeError, match="no OptimizerParams"):
        LightningModuleWithOptimizer().configure_optimizers()
