from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from innereye_runtime import LightningContainer
from innereye_runtime.introspection.arguments.json_schema import json_schema
from innereye_runtime.parameters.from_class import parameters_of
from innereye_runtime.parameters.parameter import Parameter

SCHEMA = json_schema(
    dict(parameters_of(LightningContainer))
    | {
        "crop": Parameter(name="crop", kind="tuple", item="integer", length=2),
        "sizes": Parameter(name="sizes", kind="list", item="integer", bounds=(1, 2)),
        "share": Parameter(name="share", kind="number", bounds=(0, 1), inclusive=(True, False)),
        "_secret": Parameter(name="_secret", kind="integer", settable=False),
    },
    "Mine",
)


def test_it_is_a_schema_that_takes_its_own_defaults() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    defaults = {name: each["default"] for name, each in SCHEMA["properties"].items() if "default" in each}
    assert len(defaults) == len(parameters_of(LightningContainer))
    assert list(Draft202012Validator(SCHEMA).iter_errors(defaults)) == []
    assert all(each["description"] for name, each in SCHEMA["properties"].items() if name in defaults)


@pytest.mark.parametrize(
    "args",
    [
        {"layer": 3},
        {"_secret": 3},
        {"num_epochs": 0},
        {"num_epochs": "3"},
        {"num_epochs": None},
        {"share": 1},
        {"crop": [1]},
        {"sizes": []},
        {"sizes": [1, 2, 3]},
        {"crop": [1, 2.5]},
        {"l_rate_scheduler": "Cosin"},
        {"weights_url": [1]},
        {"local_dataset": 3},
    ],
)
def test_it_refuses_what_the_container_refuses(args: dict[str, Any]) -> None:
    assert not Draft202012Validator(SCHEMA).is_valid(args)


def test_unset_is_a_value_where_the_parameter_has_it() -> None:
    assert Draft202012Validator(SCHEMA).is_valid({"local_dataset": None, "pl_limit_train_batches": 0.5})
