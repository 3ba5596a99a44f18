"""The checker itself: Microsoft's published examples pass, and each mistake in a valid job is found."""

from __future__ import annotations

import json
from typing import Any

import pytest

from azureml_emulator.http import Request
from tests.emulator_contract.api_description import ApiDescription
from tests.emulator_contract.jobs import GOOD, MUTATIONS, mutated

EXAMPLE = "stable/2024-04-01/examples/Job/CommandJob/createOrUpdate.json"
SERVICES = "swagger/specification/machinelearningservices/resource-manager/Microsoft.MachineLearningServices"
VERSIONS = ["2024-04-01", "2025-01-01-preview"]


def put_job(body: Any, version: str = "2024-04-01", **query: str) -> Request:
    path = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w-1/jobs/j"
    path = path.replace("/s/", "/00000000-1111-2222-3333-444444444444/")
    return Request(verb="PUT", path=path, query={"api-version": version, **query}, headers={}, body=body)


@pytest.fixture(scope="module")
def example(description: ApiDescription) -> Any:
    return json.loads((description.root / SERVICES / EXAMPLE).read_text())


@pytest.mark.parametrize("version", VERSIONS)
def test_a_good_job_passes(description: ApiDescription, version: str) -> None:
    verdict = description.check_request(put_job(GOOD, version))
    assert (verdict.operation, verdict.errors) == ("Jobs_CreateOrUpdate", ())


def test_the_source_is_part_of_the_verdict(description: ApiDescription) -> None:
    assert description.check_request(put_job(GOOD)).source == "swagger 2024-04-01"
    newer = description.check_request(put_job(GOOD, "2025-01-01-preview")).source
    assert newer == "swagger 2024-04-01-preview (path) + ARM schema 2025-01-01-preview (body)"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("path", "value"), MUTATIONS, ids=[f"{path}={value!r:.20}" for path, value in MUTATIONS])
def test_each_mistake_is_found_and_named(description: ApiDescription, version: str, path: str, value: Any) -> None:
    errors = description.check_request(put_job(mutated(path, value), version)).errors
    assert 1 <= len(errors) <= 3  # a wrong kind is an error of each schema that lists the kinds
    assert path.rsplit(".", 1)[-1] in " ".join(errors)


def test_the_published_example_passes_and_so_do_its_answers(description: ApiDescription, example: Any) -> None:
    request = put_job(example["parameters"]["body"])
    assert description.check_request(request).errors == ()
    for status, answer in example["responses"].items():
        assert description.check_answer(request, int(status), answer["body"]) == ()


def test_an_answer_that_departs_is_found(description: ApiDescription, example: Any) -> None:
    request, answer = put_job(None), example["responses"]["200"]["body"]
    assert description.check_answer(request, 200, {**answer, "properties": {"jobType": "Comand"}})
    assert description.check_answer(request, 204, answer) == ("status 204 is not declared for Jobs_CreateOrUpdate",)


def test_a_request_that_is_not_an_operation_is_found(description: ApiDescription) -> None:
    request = Request(verb="GET", path="/nowhere", query={"api-version": "2024-04-01"}, headers={}, body=None)
    assert description.check_request(request).errors == ("GET /nowhere is not an operation of 2024-04-01",)


def test_query_parameters_are_checked(description: ApiDescription) -> None:
    assert description.check_request(put_job(GOOD, colour="red")).errors == ("query parameter colour is not declared",)


def test_a_missing_body_is_found(description: ApiDescription) -> None:
    assert description.check_request(put_job(None)).errors == ("a body is required",)
