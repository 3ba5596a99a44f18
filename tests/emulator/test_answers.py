"""The responses of the emulator: as recorded from the service, with errors for what the service rejects."""

from __future__ import annotations

import copy
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from tests.emulator_contract.api_description import ApiDescription
from tests.emulator_contract.jobs import GOOD
from tests.emulator_contract.violations import violations

if TYPE_CHECKING:
    from azureml_emulator.emulator import Emulator

pytestmark = pytest.mark.usefixtures("ready")
MANAGEMENT = "https://management.azure.com"


@pytest.fixture
def idle(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """The emulator, with jobs that are accepted and never run."""
    monkeypatch.setattr(emulator.runner, "start", lambda job: None)
    return emulator


@pytest.fixture
def ask(emulator: Emulator) -> Iterator[Callable[..., tuple[int, Any, Any]]]:
    """A client with nothing but the standard library: status, body and headers of an answer."""
    environment = emulator.environment()
    context = ssl.create_default_context(cafile=environment["SSL_CERT_FILE"])
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({"https": environment["HTTPS_PROXY"]}),
        urllib.request.HTTPSHandler(context=context),
    )

    def ask(verb: str, url: str, body: Any = None, *, token: str | None = None) -> tuple[int, Any, Any]:
        good = emulator.tokens.issue(MANAGEMENT)
        headers = {"Authorization": f"Bearer {good if token is None else token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, headers, method=verb)
        try:
            with opener.open(request) as answer:
                return answer.status, json.loads(answer.read() or b"null"), answer.headers
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read() or b"null"), error.headers

    yield ask
    opener.close()


def job_url(emulator: Emulator, name: str, version: str = "2024-01-01-preview") -> str:
    return f"{MANAGEMENT}{emulator.workspace.id}/jobs/{name}?api-version={version}"


def good_job(emulator: Emulator, **changes: Any) -> dict[str, Any]:
    emulator.workspace.put("environments", "e", "1", {"image": "i", "properties": {}})
    given = {
        **copy.deepcopy(GOOD["properties"]),
        "environmentId": f"{emulator.workspace.id}/environments/e/versions/1",
        "codeId": None,
    }
    given = {key: value for key, value in {**given, "inputs": {}, "identity": None, **changes}.items() if value}
    return {"properties": given}


def test_answers_equal_what_was_recorded(
    idle: Emulator, ask: Callable[..., tuple[int, Any, Any]], description: ApiDescription
) -> None:
    files = sorted((description.root.parent / "golden").glob("*.json"))
    assert files
    workspace = idle.workspace
    names = {"sub": workspace.subscription, "rg": workspace.group, "ws": workspace.name, "region": workspace.location}
    for file in files:
        text = file.read_text()
        for name, value in names.items():
            text = text.replace(f"{{{name}}}", value)
        recorded = json.loads(text)
        url = f"{MANAGEMENT}{recorded['response']['id']}?api-version=2024-01-01-preview"
        status, body, headers = ask(recorded["method"], url, recorded["request"])
        del body["systemData"]
        assert (status, body) == (recorded["status"], recorded["response"])
        assert [name for name in recorded["headers"] if name not in headers] == []


def test_calls_are_recorded_and_violations_are_found_in_them(
    idle: Emulator, ask: Callable[..., tuple[int, Any, Any]], description: ApiDescription
) -> None:
    before = len(idle.calls)
    body = good_job(idle)
    assert ask("PUT", job_url(idle, "conforms"), body)[0] == 201
    body["properties"]["resources"]["instanceCont"] = 2
    assert ask("PUT", job_url(idle, "departs"), body)[0] == 201
    calls = idle.calls[before:]
    del idle.calls[before:]  # other tests, which share the emulator, look for violations among all calls
    assert [call.status for call in calls] == [201, 201]
    (violation,) = violations(calls)
    assert "/jobs/departs: $.properties.resources: unknown properties ['instanceCont']" in violation


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"command": "echo ${{inputs.nope}}"}, "the command refers to inputs.nope, which the job does not define"),
        ({"environmentId": "/environments/nope/versions/1"}, "environmentId /environments/nope/versions/1 does not"),
        ({"codeId": "/codes/nope/versions/1"}, "codeId /codes/nope/versions/1 does not exist"),
        (
            {"inputs": {"x": {"jobInputType": "uri_folder", "uri": "azureml:nope:1"}}},
            "input x: azureml:nope:1 is not a path, data asset or model of this workspace",
        ),
        (
            {"inputs": {"x": {"jobInputType": "uri_folder", "uri": "azureml://datastores/nope/paths/a"}}},
            "input x: there is no datastore nope",
        ),
    ],
)
def test_what_the_service_refuses_is_refused(
    idle: Emulator, ask: Callable[..., tuple[int, Any, Any]], changes: dict[str, Any], reason: str
) -> None:
    status, answer, _ = ask("PUT", job_url(idle, "refused"), good_job(idle, **changes))
    assert status == 400
    assert answer["error"]["message"].startswith(reason)


def test_a_name_that_is_taken_is_refused(idle: Emulator, ask: Callable[..., tuple[int, Any, Any]]) -> None:
    assert ask("PUT", job_url(idle, "twice"), good_job(idle))[0] == 201
    assert ask("PUT", job_url(idle, "twice"), good_job(idle))[0] == 409


@pytest.mark.parametrize("token", ["", "x.y.z", "nonsense"])
def test_without_a_good_token_nothing_is_answered(
    idle: Emulator, ask: Callable[..., tuple[int, Any, Any]], token: str
) -> None:
    assert ask("GET", job_url(idle, "any"), token=token)[0] == 401


def test_tokens_expire_when_told_to(idle: Emulator, ask: Callable[..., tuple[int, Any, Any]]) -> None:
    token = idle.tokens.issue(MANAGEMENT)
    assert ask("GET", f"{MANAGEMENT}{idle.workspace.id}?api-version=2024-04-01", token=token)[0] == 200
    idle.tokens.expire_all()
    status, answer, headers = ask("GET", f"{MANAGEMENT}{idle.workspace.id}?api-version=2024-04-01", token=token)
    assert (status, answer["error"]["code"]) == (401, "ExpiredAuthenticationToken")
    assert "invalid_token" in headers["WWW-Authenticate"]


def test_a_host_that_is_not_azures_is_refused_and_noted(
    idle: Emulator, ask: Callable[..., tuple[int, Any, Any]]
) -> None:
    with pytest.raises(OSError, match="403"):
        ask("GET", "https://example.org/")
    assert idle.proxy.refused == ["example.org"]
    idle.proxy.refused.clear()


def test_mlflow_keeps_what_a_job_logs(idle: Emulator, ask: Callable[..., tuple[int, Any, Any]]) -> None:
    from azureml_emulator.state.job import CommandJob

    job = idle.workspace.jobs["tracked"] = CommandJob("tracked", {"experimentName": "x", "tags": {"a": "b"}})
    base = f"{idle.workspace.api}/mlflow/v2.0{idle.workspace.id}/api/2.0/mlflow"
    metrics = [{"key": "loss", "value": value, "step": step, "timestamp": 1} for step, value in enumerate([3, 2, 1])]
    batch = {"run_id": "tracked", "metrics": metrics, "params": [{"key": "lr", "value": "0.1"}]}
    assert ask("POST", f"{base}/runs/log-batch", batch)[0] == 200
    assert ask("POST", f"{base}/runs/set-tag", {"run_id": "tracked", "key": "k", "value": "v"})[0] == 200
    run = ask("GET", f"{base}/runs/get?run_id=tracked")[1]["run"]
    assert run["data"]["metrics"] == [metrics[-1]]
    assert run["data"]["params"] == [{"key": "lr", "value": "0.1"}]
    assert {tag["key"]: tag["value"] for tag in run["data"]["tags"]} == {"a": "b", "k": "v"}
    assert run["info"]["experiment_id"] == job.experiment_id
    history = ask("GET", f"{base}/metrics/get-history?run_id=tracked&metric_key=loss")[1]["metrics"]
    assert [one["value"] for one in history] == [3, 2, 1]
    changed = {"run_id": "tracked", "key": "lr", "value": "0.2"}
    status, answer, _ = ask("POST", f"{base}/runs/log-parameter", changed)
    assert (status, answer["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


def test_jobs_are_listed_the_newest_first_and_by_the_key_of_a_tag(
    idle: Emulator, ask: Callable[..., tuple[int, Any, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idle.workspace, "jobs", {})
    for name, tags in (("one", {"a": "1"}), ("two", {"b": "1"}), ("three", {"a": "2", "b": "2"})):
        assert ask("PUT", job_url(idle, name), good_job(idle, tags=tags))[0] == 201
    url = f"{MANAGEMENT}{idle.workspace.id}/jobs?api-version=2024-01-01-preview"
    for query, names in (("", ["three", "two", "one"]), ("&tag=a", ["three", "one"]), ("&tag=c", [])):
        status, body, _ = ask("GET", url + query)
        assert (status, [job["name"] for job in body["value"]]) == (200, names)
