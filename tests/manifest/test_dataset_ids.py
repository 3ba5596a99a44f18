"""Ids of datasets in the words that others write: understood, or refused with the remedy."""

from __future__ import annotations

import pytest

from innereye_runtime.manifest.dataset_ids import canonical, problem_of
from innereye_runtime.manifest.model import Dataset
from innereye_runtime.parameters import constraints

LONG = "azureml://subscriptions/s/resourcegroups/g/workspaces/w/datastores/d/paths/brats/1"
UNDERSTOOD = {
    "hello": "hello",
    "prostate-ct:3": "prostate-ct:3",
    "folder/below/it": "folder/below/it",
    "azureml:hello:1": "hello:1",
    "azureml:hello@latest": "hello",
    "hello@latest": "hello",
    "azure://account/container/a/b": "azure://account/container/a/b",
    "wasbs://container@account.blob.core.windows.net/a/b/": "azure://account/container/a/b",
    "abfss://container@account.dfs.core.windows.net/a": "azure://account/container/a",
    "https://account.blob.core.windows.net/container/a/b": "azure://account/container/a/b",
    "https://account.blob.core.windows.net/container": "azure://account/container",
    "azureml://datastores/d/paths/brats/": "azureml://datastores/d/paths/brats/",
    LONG: LONG,
    "azureml://registries/r/data/brats/versions/2": "azureml://registries/r/data/brats/versions/2",
}
REFUSED = {
    "hello@best": ("a label other than latest", "write 'hello@latest', or a version"),
    "azureml:": ("not the id of a data asset", "NAME:VERSION"),
    "azureml:a/b:1": ("not the id of a data asset", "NAME:VERSION"),
    "azureml://jobs/x": ("neither a folder of a datastore nor a data asset", "azureml://datastores/NAME/paths"),
    "https://account.blob.core.windows.net/c/a?sv=1&sig=SECRET": ("may hold a signature", "'azure://account/c/a'"),
    "https://example.org/data.zip": ("not a place that datasets are read from", "download it and set 'local'"),
    "s3://bucket/brats": ("not a place that datasets are read from", "set 'local'"),
    "wasbs://c@account.blob.core.chinacloudapi.cn/a": ("not a place", "azure://ACCOUNT/CONTAINER/PATH"),
}


@pytest.mark.parametrize("id", UNDERSTOOD)
def test_an_id_is_understood(id: str) -> None:
    assert (canonical(id), problem_of(id)) == (UNDERSTOOD[id], None)
    assert Dataset(id=id).id == canonical(canonical(id)) == UNDERSTOOD[id]


@pytest.mark.parametrize("id", REFUSED)
def test_an_id_is_refused_with_the_remedy(id: str) -> None:
    problem = problem_of(id)
    assert problem is not None
    message, remedy = REFUSED[id]
    assert message in problem[0] and remedy in problem[1]
    assert "SECRET" not in " ".join(problem)
    values = {"azure_dataset_id": "hello", "extra_azure_dataset_ids": [id]}
    assert any(message in rule.problem(values) for rule in constraints.DATASETS if set(rule.names) == set(values))
