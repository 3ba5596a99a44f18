"""A valid CommandJob, and ways to break it: each is one mistake that the checker has to find."""

from __future__ import annotations

import copy
from typing import Any

GOOD: dict[str, Any] = {
    "properties": {
        "jobType": "Command",
        "command": "echo hi",
        "environmentId": "/a/b",
        "codeId": "/c",
        "computeId": "/d",
        "displayName": "d",
        "experimentName": "e",
        "tags": {"a": "b"},
        "properties": {},
        "isArchived": False,
        "environmentVariables": {"A": "1"},
        "limits": {"jobLimitsType": "Command", "timeout": "PT1H"},
        "queueSettings": {"jobTier": "Spot"},
        "resources": {"instanceCount": 1, "shmSize": "2g", "dockerArgs": "--x", "properties": {}},
        "inputs": {
            "x": {"jobInputType": "uri_folder", "uri": "azureml://a", "mode": "ReadOnlyMount"},
            "n": {"jobInputType": "literal", "value": "3"},
        },
        "outputs": {"o": {"jobOutputType": "uri_folder", "mode": "ReadWriteMount"}},
        "distribution": {"distributionType": "PyTorch", "processCountPerInstance": 2},
        "identity": {"identityType": "Managed", "clientId": "00000000-0000-0000-0000-000000000001"},
    }
}

ABSENT = object()

MUTATIONS: list[tuple[str, Any]] = [
    ("comand", "x"),
    ("command", ABSENT),
    ("command", ["echo", "hi"]),
    ("environmentId", ABSENT),
    ("jobType", "Comand"),
    ("resources.instanceCont", 2),
    ("resources.instanceCount", "2"),
    ("resources.shmSize", "lots"),
    ("inputs.x.mode", "ro_mount"),
    ("inputs.x.jobInputType", "uri_flder"),
    ("inputs.x.path", "y"),
    ("inputs.x.uri", ABSENT),
    ("inputs.n.value", ABSENT),
    ("outputs.o.mode", "rw_mount"),
    ("distribution.processCount", 3),
    ("distribution.distributionType", "pytorch"),
    ("identity.identityType", "managed"),
    ("environmentVariables.A", 1),
    ("tags.a", 1),
    ("limits.timeOut", "PT1H"),
    ("queueSettings.jobTier", "LowPriority"),
]


def mutated(path: str, value: Any) -> dict[str, Any]:
    """`GOOD` with one property changed, added or, for `ABSENT`, taken out."""
    body = copy.deepcopy(GOOD)
    *steps, last = ["properties", *path.split(".")]
    place = body
    for step in steps:
        place = place[step]
    if value is ABSENT:
        del place[last]
    else:
        place[last] = value
    return body
