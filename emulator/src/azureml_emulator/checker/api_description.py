"""Checks requests and answers against Microsoft's published description of the api-version that they name.

Two sources, both data files under the MIT licence, in one folder that is not part of this package:

* `swagger/`, from Azure/azure-rest-api-specs: paths, verbs, parameters, bodies of requests and answers;
* `arm-json-schema/`, from Azure/azure-resource-manager-schemas: the bodies of PUT, for newer versions too.

Where the Swagger of a version is not at hand, path and answer are checked against that of `NEIGHBOUR`, and the source
that is told with each request says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from azureml_emulator.checker.arm_schema import ArmSchema
from azureml_emulator.checker.swagger import Operation, Swagger
from innereye_runtime.errors import PreflightError

SPEC_VARIABLE = "INNEREYE_AZUREML_SPEC"
NEIGHBOUR = "2024-04-01-preview"
_SERVICES = "swagger/specification/machinelearningservices/resource-manager/Microsoft.MachineLearningServices"
_ARM = "Microsoft.MachineLearningServices.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    verb: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Names in lower case."""
    body: Any

    @property
    def version(self) -> str:
        return self.query.get("api-version", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    operation: str | None
    """The operationId; None: there is no such operation."""
    source: str
    """What the request was checked against."""
    errors: tuple[str, ...]


class Description:
    """The files below `root`. Each is read when the first request of its version comes."""

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
        """What of an answer to `request` the description does not allow."""
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
        """The ARM schema of a version that is there."""
        found = self._arm(version)
        assert found is not None, f"no ARM schema of {version} below {self.root}"
        return found

    def _read_swagger(self, version: str, answers: bool) -> Swagger | None:
        folders = (self.root / _SERVICES / kind / version for kind in ("stable", "preview"))
        return next((Swagger(folder, answers=answers) for folder in folders if version and folder.is_dir()), None)

    def _read_arm(self, version: str) -> ArmSchema | None:
        file = self.root / "arm-json-schema" / version / _ARM
        return ArmSchema(file) if version and file.exists() else None


def find_description(places: Sequence[Path], environment: Mapping[str, str]) -> Description | None:
    """Microsoft's published description where it is at hand: in the folder that `INNEREYE_AZUREML_SPEC` names, else in
    `shared/azureml/spec` beside one of `places`; None where it isn't.

    Raises:
        PreflightError: the variable names a folder that does not hold it.
    """
    named = environment.get(SPEC_VARIABLE)
    if named:
        if not (Path(named) / "swagger").is_dir():
            raise PreflightError(f"{SPEC_VARIABLE} is {named}, which has no folder 'swagger'")
        return Description(Path(named))
    for place in places:
        root = place.parent / "shared" / "azureml" / "spec"
        if (root / "swagger").is_dir():
            return Description(root)
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
