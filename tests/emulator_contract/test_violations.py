"""What counts as a violation in a recording."""

from __future__ import annotations

import dataclasses

from azureml_emulator.http import Request
from azureml_emulator.recording import Call
from tests.emulator_contract.api_description import ApiDescription
from tests.emulator_contract.jobs import GOOD, mutated
from tests.emulator_contract.violations import errors_of

PATH = (
    "/subscriptions/00000000-1111-2222-3333-444444444444/resourceGroups/g/providers"
    "/Microsoft.MachineLearningServices/workspaces/w-1/jobs/j"
)
QUERY = {"api-version": "2024-04-01"}
PUT = Request(verb="PUT", path=PATH, query=QUERY, headers={}, body=GOOD)
CALL = Call(host="management.azure.com", request=PUT, status=201, answer=GOOD)


def test_a_valid_call_has_no_errors(description: ApiDescription) -> None:
    assert errors_of(CALL, description) == []


def test_both_sides_of_a_call_are_checked(description: ApiDescription) -> None:
    wrong = mutated("resources.instanceCont", 2)
    message = "$.properties.resources: unknown properties ['instanceCont']"
    request = dataclasses.replace(PUT, body=wrong)
    assert errors_of(dataclasses.replace(CALL, request=request), description) == [message]
    assert errors_of(dataclasses.replace(CALL, answer=wrong), description) == [message]


def test_an_error_response_is_not_compared_with_the_resource(description: ApiDescription) -> None:
    assert errors_of(dataclasses.replace(CALL, status=429, answer={"error": {}}), description) == []


def test_other_hosts_are_not_described(description: ApiDescription) -> None:
    elsewhere = dataclasses.replace(PUT, path="/nowhere")
    assert errors_of(dataclasses.replace(CALL, host="westeurope.api.azureml.ms", request=elsewhere), description) == []
    assert errors_of(dataclasses.replace(CALL, request=elsewhere), description) == [
        "PUT /nowhere is not an operation of 2024-04-01"
    ]
