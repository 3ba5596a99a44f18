"""Learning rates against numbers that were worked out by hand from the closed forms."""

from __future__ import annotations

from typing import Any

import pytest

from innereye_runtime import LRSchedulerType, LRWarmUpType, OptimizerParams, OptimizerType

CASES: dict[str, tuple[dict[str, Any], list[float]]] = {
    # 0.8 * 0.5^e
    "Exponential": ({"l_rate_exponential_gamma": 0.5}, [0.8, 0.4, 0.2, 0.1, 0.05, 0.025]),
    # a tenth after every second epoch
    "Step": ({"l_rate_step_gamma": 0.1, "l_rate_step_step_size": 2}, [0.8, 0.8, 0.08, 0.08, 0.008, 0.008]),
    # a quarter at 1 and at 3
    "MultiStep": (
        {"l_rate_multi_step_gamma": 0.25, "l_rate_multi_step_milestones": [1, 3]},
        [0.8, 0.2, 0.2, 0.05, 0.05, 0.05],
    ),
    # x = 0.2 / 0.8 = 1/4: 0.8 * (3/4 * (1 - e/6)^2 + 1/4)
    "Polynomial": (
        {"l_rate_polynomial_gamma": 2.0, "min_l_rate": 0.2},
        [0.8, 0.6 * 25 / 36 + 0.2, 0.6 * 16 / 36 + 0.2, 0.35, 0.6 * 4 / 36 + 0.2, 0.6 / 36 + 0.2],
    ),
    # 0.2 + 0.3 * (1 + cos(pi e/6)); the cosines are 1, sqrt(3)/2, 1/2, 0, -1/2, -sqrt(3)/2
    "Cosine": (
        {"min_l_rate": 0.2},
        [0.8, 0.5 + 0.3 * 0.8660254037844386, 0.65, 0.5, 0.35, 0.5 - 0.3 * 0.8660254037844386],
    ),
}
# Epochs 0 and 1 of 2: a third and two thirds of 0.8; then the same schedule over the six epochs that are left.
WARMUP = [0.8 / 3, 1.6 / 3]


def params(name: str, warmup: int) -> OptimizerParams:
    kind = LRWarmUpType.Linear if warmup else LRWarmUpType.NoWarmUp
    return OptimizerParams(
        l_rate=0.8,
        l_rate_scheduler=LRSchedulerType(name),
        l_rate_warmup=kind,
        l_rate_warmup_epochs=warmup,
        optimizer_type=OptimizerType.SGD,
        **CASES[name][0],
    )


def rates(parameters: OptimizerParams, epochs: int, *, resumed_at: int | None = None) -> list[float]:
    import torch

    from innereye_runtime.api.module import create_optimizer, create_scheduler

    def new() -> tuple[Any, Any]:
        optimizer = create_optimizer(parameters, [torch.nn.Parameter(torch.zeros(1))])
        return optimizer, create_scheduler(parameters, optimizer, epochs)

    optimizer, scheduler = new()
    found = []
    for epoch in range(epochs):
        if epoch == resumed_at:
            states = optimizer.state_dict(), scheduler.state_dict()
            optimizer, scheduler = new()
            optimizer.load_state_dict(states[0])
            scheduler.load_state_dict(states[1])
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


@pytest.mark.parametrize("warmup", [0, 2])
@pytest.mark.parametrize("name", CASES)
def test_each_epoch_has_the_rate_of_the_closed_form(name: str, warmup: int, needs: Any) -> None:
    needs("torch")
    expected = WARMUP[:warmup] + CASES[name][1]
    assert rates(params(name, warmup), 6 + warmup) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("warmup", [0, 2])
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("resumed_at", [1, 4])
def test_a_restart_goes_on_with_the_same_rates(name: str, warmup: int, resumed_at: int, needs: Any) -> None:
    needs("torch")
    parameters = params(name, warmup)
    assert rates(parameters, 6 + warmup, resumed_at=resumed_at) == rates(parameters, 6 + warmup)


def test_a_warm_up_needs_its_type_and_its_epochs() -> None:
    from innereye_runtime.api.schedules import Schedule

    only_epochs = OptimizerParams(l_rate_warmup_epochs=5)
    only_type = OptimizerParams(l_rate_warmup=LRWarmUpType.Linear)
    assert Schedule(parameters=only_epochs, num_epochs=10).factor(0) == 1
    assert Schedule(parameters=only_type, num_epochs=10).factor(0) == 1


def test_the_schedule_ends_at_the_minimum_and_stays_there() -> None:
    from innereye_runtime.api.schedules import Schedule

    for kind in (LRSchedulerType.Polynomial, LRSchedulerType.Cosine):
        parameters = OptimizerParams(l_rate=0.8, min_l_rate=0.2, l_rate_scheduler=kind)
        schedule = Schedule(parameters=parameters, num_epochs=4)
        assert [schedule.factor(epoch) for epoch in (4, 9)] == pytest.approx([0.25, 0.25])


def test_a_learning_rate_of_zero_is_no_error() -> None:
    from innereye_runtime.api.schedules import Schedule

    assert Schedule(parameters=OptimizerParams(l_rate=0.0), num_epochs=4).factor(2) >= 0
