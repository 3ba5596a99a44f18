"""Checks requests and responses against Microsoft's published description of their api-version.

It has two sources, both data files under the MIT licence, in one folder that is not part of this project:

* `swagger/`, from Azure/azure-rest-api-specs: paths, verbs, parameters, bodies of requests and responses;
* `arm-json-schema/`, from Azure/azure-resource-manager-schemas: the bodies of PUT, for newer versions too.

If the Swagger files of a version are missing, path and response are checked against those of `NEIGHBOUR`; the `source`
of a verdict says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from azureml_emulator.http import Request
from tests.emulator_contract.arm_schema import ArmSchema
from tests.emulator_contract.swagger import Operation, Swagger

SPEC_VARIABLE = "INNEREYE_AZUREML_SPEC"
NEIGHBOUR = "2024-04-01-preview"
_SERVICES = "swagger/specification/machinelearningservices/resource-manager/Microsoft.MachineLearningServices"
_ARM = "Microsoft.MachineLearningServices.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    operation: str | None
    """The operationId; None: there is no such operation."""
    source: str
    """What the request was checked against."""
    errors: tuple[str, ...]


class ApiDescription:
    """The files below `root`. Each is read for the first request of its version."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._swagger = cache(self._read_swagger)
        self._arm = cache(self._read_arm)

    def check_request(self, request: Request) -> Verdict:
        exact = self._swagger(request.version, False)
        swagger = exact or self._swagger(NEIGHBOUR, False)
        source = f"swagger {request.version}" if exact else f"swagger {NEIGHBOUR} (path)"
        assert swagger is not None, "the neighbour version is there"
        found = swagger.find(request.verb, request.path)
        if found is None:
            absent = f"{request.verb} {request.path} is not an operation of {request.version or 'any version'}"
            return Verdict(operation=None, source=source, errors=(absent,))
        operation, values = found
        errors = list(_parameter_errors(swagger, operation, values, request))
        arm = None if exact or request.verb != "PUT" else self._arm(request.version)
        if arm is not None and request.body is not None:
            source += f" + ARM schema {request.version} (body)"
            errors += arm.errors(_arm_resource(request.path), request.body)
        else:
            errors += _body_errors(swagger, operation, request.body)
        return Verdict(operation=operation.id, source=source, errors=tuple(errors))

    def check_answer(self, request: Request, status: int, body: Any) -> tuple[str, ...]:
        """What in a response to `request` the description does not allow."""
        swagger = self._swagger(request.version, True) or self._swagger(NEIGHBOUR, True)
        assert swagger is not None, "the neighbour version is there"
        found = swagger.find(request.verb, request.path)
        if found is None:
            return ()
        operation, _ = found
        declared = operation.content["responses"]
        answer = declared.get(str(status)) or declared.get("default")
        if answer is None or (str(status) not in declared and status < 400):
            return (f"status {status} is not declared for {operation.id}",)
        return tuple(swagger.errors(answer["schema"], operation.file, body)) if "schema" in answer else ()

    def arm(self, version: str) -> ArmSchema:
        """The ARM schema of an existing version."""
        found = self._arm(version)
        assert found is not None, f"no ARM schema of {version} below {self.root}"
        return found

    def _read_swagger(self, version: str, answers: bool) -> Swagger | None:
        folders = (self.root / _SERVICES / kind / version for kind in ("stable", "preview"))
        return next((Swagger(folder, answers=answers) for folder in folders if version and folder.is_dir()), None)

    def _read_arm(self, version: str) -> ArmSchema | None:
        file = self.root / "arm-json-schema" / version / _ARM
        return ArmSchema(file) if version and file.exists() else None


def find_standin(environment: Mapping[str, str]) -> Path | None:
    """The folder of another stand-in for AzureML, beside that of the description; None if there is none."""
    description = find_api_description(environment)
    folder = description.root.parent if description is not None else None
    return folder if folder is not None and (folder / "standin" / "cloud.py").is_file() else None


def find_api_description(environment: Mapping[str, str]) -> ApiDescription | None:
    """The description in the folder that `INNEREYE_AZUREML_SPEC` names, else in `shared/azureml/spec` beside this
    checkout; None if neither exists.

    Raises:
        ValueError: the variable names a folder without the description.
    """
    named = environment.get(SPEC_VARIABLE)
    root = Path(named) if named else Path(__file__).resolve().parents[3] / "shared" / "azureml" / "spec"
    if (root / "swagger").is_dir():
        return ApiDescription(root)
    if named:
        raise ValueError(f"{SPEC_VARIABLE} is {named}, which has no folder 'swagger'")
    return None


def _parameter_errors(swagger: Swagger, operation: Operation, values: Mapping[str, str], request: Request) -> list[str]:
    errors: list[str] = []
    declared = set()
    for parameter in swagger.parameters(operation):
        name, place = parameter["name"], parameter["in"]
        declared.add(name.lower())
        places = {"path": values, "query": request.query, "header": request.headers}
        value: Any = places.get(place, {}).get(name.lower() if place == "header" else name)
        if place == "body":
            continue
        if value is None:
            errors += [f"{place} parameter {name} is missing"] if parameter.get("required") else []
            continue
        if parameter.get("type") == "boolean" and value.lower() in ("true", "false"):
            value = value.lower() == "true"
        elif parameter.get("type") == "integer" and re.fullmatch(r"-?\d+", value):
            value = int(value)
        errors += [f"{place} parameter {name}{found[1:]}" for found in swagger.errors(parameter, operation.file, value)]
    return errors + [
        f"query parameter {name} is not declared" for name in request.query if name.lower() not in declared
    ]


def _body_errors(swagger: Swagger, operation: Operation, body: Any) -> list[str]:
    for parameter in swagger.parameters(operation):
        if parameter["in"] == "body":
            if body is not None:
                return swagger.errors(parameter["schema"], operation.file, body)
            return ["a body is required"] if parameter.get("required") else []
    return []


def _arm_resource(path: str) -> str:
    """`.../workspaces/w/codes/c/versions/v` -> `workspaces_codes_versions`."""
    names = re.sub(r".*/workspaces/[^/]+/", "", path).split("/")[::2]
    return "workspaces_" + "_".join(names)
