"""Requests to the Docker engine, by Docker's own SDK: the one place that knows the SDK and the errors it raises."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from innereye_runtime.errors import PreflightError
from innereye_runtime.targets.docker.endpoint import Address, wrong_settings

if TYPE_CHECKING:
    from docker import APIClient

SECONDS = 60
"""For one answer of the engine. Waiting for a container's end and following its output have no such bound."""

_OLDEST = "1.24"
"""What the SDK can speak at least; the engine is asked for its own version without one."""

Chunk = tuple[bytes | None, bytes | None]
"""A piece of a container's standard output or of its standard error, the other being None."""


class RefusedError(Exception):
    """The engine answered, and said no. `str()` is what it said."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status

    @property
    def not_found(self) -> bool:
        return self.status == 404


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineClient:
    """An engine that has answered. Every method raises RefusedError, and OSError where the engine is gone."""

    address: Address
    sdk: APIClient

    @classmethod
    def connect(cls, address: Address) -> EngineClient:
        """Raises PreflightError where the address is not one, or the SDK is not installed."""
        with _own_errors(address):
            asked = _open(address, _OLDEST)
            version = asked.version(api_version=False)["ApiVersion"]
            asked.close()
            return cls(address=address, sdk=_open(address, version))

    @property
    def api_version(self) -> str:
        """The newest that the engine speaks: its own."""
        return str(self.sdk.api_version)

    def info(self) -> dict[str, Any]:
        """What the engine says of itself and its machine."""
        return cast(dict[str, Any], self._ask("info"))

    def image(self, reference: str) -> dict[str, Any]:
        return cast(dict[str, Any], self._ask("inspect_image", reference))

    def images(self, label: str) -> list[dict[str, Any]]:
        """Those that have the label, also without a tag."""
        return cast(list[dict[str, Any]], self._ask("images", filters={"label": [label]}))

    def remove_image(self, image: str) -> None:
        """Takes away a tag, or an image that no container uses."""
        self._ask("remove_image", image)

    def containers(self, label: str) -> list[dict[str, Any]]:
        """Those that have the label, in whatever state, the newest first."""
        return cast(list[dict[str, Any]], self._ask("containers", all=True, filters={"label": [label]}))

    def create(self, name: str, body: Mapping[str, Any]) -> str:
        """The id of a new container, which waits to be started."""
        return str(self._ask("create_container_from_config", dict(body), name)["Id"])

    def start(self, container: str) -> None:
        self._ask("start", container)

    def inspect(self, container: str) -> dict[str, Any]:
        return cast(dict[str, Any], self._ask("inspect_container", container))

    def kill(self, container: str, signum: int) -> None:
        self._ask("kill", container, signal=int(signum))

    def stop(self, container: str, seconds: int) -> None:
        """SIGTERM, and SIGKILL after as many seconds."""
        self._ask("stop", container, timeout=seconds)

    def remove(self, container: str) -> None:
        """Also one that runs, and its volumes."""
        self._ask("remove_container", container, v=True, force=True)

    def create_network(self, name: str, labels: Mapping[str, str]) -> None:
        self._ask("create_network", name, driver="bridge", labels=dict(labels))

    def networks(self, label: str) -> list[dict[str, Any]]:
        """Those that have the label."""
        return cast(list[dict[str, Any]], self._ask("networks", filters={"label": [label]}))

    def remove_network(self, network: str) -> None:
        self._ask("remove_network", network)

    def wait(self, container: str, *, seconds: float | None = None) -> int:
        """The exit code of the container, at its end; None waits for days.

        It is asked for anew each minute: a network in between forgets a connection on which nothing is said.
        """
        while True:
            asked = time.monotonic()
            try:
                return int(self._ask("wait", container, timeout=seconds or SECONDS)["StatusCode"])
            except OSError:
                if seconds is not None or time.monotonic() - asked < SECONDS:
                    raise

    def attach(self, container: str) -> Iterator[Chunk]:
        """The output of a container, as it comes, until its end. It has been asked for when this returns."""
        if self.address.host.startswith("ssh:"):  # there, what has no length is cut off where it starts
            return cast(Iterator[Chunk], self._ask("attach", container, stream=True, demux=True))
        return self._stream("POST", f"/containers/{container}/attach", stream=1)

    def logs(self, container: str, *, follow: bool) -> Iterator[Chunk]:
        """What the container printed so far, and with `follow` all that it will."""
        return self._stream("GET", f"/containers/{container}/logs", follow=int(follow))

    def _ask(self, method: str, *words: object, **options: object) -> Any:
        with _own_errors(self.address):
            return getattr(self.sdk, method)(*words, **options)

    def _stream(self, method: str, path: str, **query: object) -> Iterator[Chunk]:
        """Read here: the SDK mixes the two outputs of `logs`, and those of `attach` may come late by TLS."""
        place = f"{self.sdk.base_url}/v{self.api_version}{path}"
        with _own_errors(self.address):
            answer = self.sdk.request(method, place, params={"stdout": 1, "stderr": 1, **query}, stream=True)
            answer.raise_for_status()
        return _chunks(answer)


def _chunks(answer: Any) -> Iterator[Chunk]:
    """Source: "Stream format" of attach, in the API's reference."""
    with answer:
        try:
            while header := answer.raw.read(8):
                data = answer.raw.read(int.from_bytes(header[4:], "big"))
                yield (None, data) if header[0] == 2 else (data, None)
        except Exception as error:  # each layer below has errors of its own for a connection that breaks
            raise ConnectionError(f"the engine ended in the middle of the output: {error}") from error


def _open(address: Address, version: str) -> APIClient:
    sdk = _sdk()
    folder = address.certificates
    tls = False
    if folder is not None:
        pair, authority = (folder / "cert.pem", folder / "key.pem"), folder / "ca.pem"
        tls = sdk.TLSConfig(
            client_cert=tuple(map(str, pair)) if all(file.is_file() for file in pair) else None,
            ca_cert=str(authority) if authority.is_file() else None,
            verify=address.verify,
        )
    if not address.verify:  # asked for with DOCKER_TLS_VERIFY
        warnings.filterwarnings("ignore", "Unverified HTTPS request")
    client: APIClient = sdk.APIClient(
        base_url=address.with_port(), version=version, timeout=SECONDS, tls=tls, use_ssh_client=True
    )
    client.trust_env = False  # a proxy for the web is not one for an engine
    if not address.host.startswith("ssh:"):
        client.headers["Connection"] = "close"  # none is left open, or found dead when it is used again
    return client


@cache
def _sdk() -> Any:
    """Docker's SDK. Its module for ssh:// imports paramiko, which takes long to import and which it does not use where
    it calls the `ssh` command: an empty module stands in for it meanwhile.
    """
    stands_in = sys.modules.setdefault("paramiko", ModuleType("paramiko"))
    try:
        import docker
    except ModuleNotFoundError as error:
        raise PreflightError(
            f"Docker's SDK for Python is not installed here (no module {error.name})",
            hint="pip install 'innereye-runtime[docker]'",
        ) from None
    finally:
        if not hasattr(stands_in, "__file__"):
            sys.modules.pop("paramiko", None)
    return docker


@contextmanager
def _own_errors(address: Address) -> Iterator[None]:
    """Inside, what the SDK and the library below it raise comes out as RefusedError, OSError or PreflightError."""
    _sdk()
    from docker.errors import DockerException
    from requests.exceptions import HTTPError, SSLError

    try:
        yield
    except HTTPError as error:
        answer: Any = error.response
        raise RefusedError(answer.status_code, _message(answer)) from error
    except SSLError as error:
        cause = _cause(error)
        raise PreflightError(
            f"the engine at {address.host} and this program do not trust each other: "
            f"{getattr(cause, 'reason', None) or cause}",
            hint="see DOCKER_CERT_PATH and DOCKER_TLS_VERIFY, or the certificates of the context",
        ) from error
    except OSError as error:  # also RequestException
        cause = _cause(error)
        raise cause if isinstance(cause, PermissionError) else ConnectionError(str(cause)) from error
    except (DockerException, ValueError) as error:
        raise wrong_settings(f"'{address.host}' can't be talked to: {error}") from error
    except (LookupError, TypeError):
        raise ConnectionError("what answers there is not a Docker engine") from None


def _message(answer: Any) -> str:
    try:
        return str(answer.json()["message"])
    except (ValueError, LookupError, TypeError):
        return str(answer.text).strip()


def _cause(error: OSError) -> BaseException:
    """What the operating system said, which libraries wrapped in errors of their own."""
    from requests.exceptions import RequestException

    found: BaseException | None = error
    while isinstance(found, RequestException) or (found is not None and not isinstance(found, OSError)):
        found = found.__cause__ or found.__context__
    return found or error
