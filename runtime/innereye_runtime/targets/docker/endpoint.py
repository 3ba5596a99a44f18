"""Where the Docker engine is: as DOCKER_HOST says, or the current context of the `docker` command."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from innereye_runtime.data.cache_dirs import user_home
from innereye_runtime.errors import PreflightError

DEFAULT = "unix:///var/run/docker.sock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """unix:///PATH, or tcp://HOST:PORT with or without TLS."""

    host: str
    certificates: Path | None = None
    """A folder with ca.pem, cert.pem and key.pem, each where it is needed: TLS is spoken."""
    verify: bool = True
    """False: any certificate of the engine's will do."""

    @classmethod
    def current(cls, environment: Mapping[str, str] = os.environ) -> Address:
        """What the `docker` command would talk to.

        Raises:
            PreflightError: the context that is named is not there.
        """
        host = environment.get("DOCKER_HOST", "")
        verify = environment.get("DOCKER_TLS_VERIFY", "")
        settings = Path(environment.get("DOCKER_CONFIG") or user_home() / ".docker")
        if not host:
            context = environment.get("DOCKER_CONTEXT") or _read(settings / "config.json").get("currentContext")
            if context in (None, "", "default"):
                return cls(host=DEFAULT)
            return cls.of_context(settings / "contexts", str(context))
        folder = environment.get("DOCKER_CERT_PATH", "")
        if host.startswith("unix:") or not (verify or folder):
            return cls(host=host)
        return cls(host=host, certificates=Path(folder) if folder else settings, verify=bool(verify))

    @classmethod
    def of_context(cls, contexts: Path, name: str) -> Address:
        """Source: https://docs.docker.com/engine/manage-resources/contexts (where the `docker` command keeps them)."""
        import hashlib  # loads OpenSSL, which few have a context for

        folder = hashlib.sha256(name.encode()).hexdigest()
        file = contexts / "meta" / folder / "meta.json"
        described = _read(file)
        if not described:
            raise _wrong(f"there is no context '{name}'")
        endpoints = described.get("Endpoints")
        endpoint = endpoints.get("docker") if isinstance(endpoints, dict) else None
        if not isinstance(endpoint, dict) or not isinstance(endpoint.get("Host"), str):
            raise _wrong(f"the context '{name}' names no engine in {file}")
        certificates = contexts / "tls" / folder / "docker"
        return cls(
            host=endpoint["Host"],
            certificates=certificates if certificates.is_dir() else None,
            verify=not endpoint.get("SkipTLSVerify"),
        )

    @property
    def is_local(self) -> bool:
        return self.host.startswith("unix:")

    def open(self, timeout: float | None) -> socket.socket:
        """A connection to it.

        Raises:
            OSError: nobody answers there.
            PreflightError: it is no address that this program can talk to.
        """
        scheme, _, place = self.host.partition("://")
        if scheme == "unix":
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(timeout)
            try:
                connection.connect(place)
            except OSError:
                connection.close()
                raise
            return connection
        name, _, port = place.strip("/").rpartition(":")
        if scheme not in ("tcp", "http") or not name or not port.isdecimal():
            raise _wrong(f"'{self.host}' is neither unix:///PATH nor tcp://HOST:PORT")
        try:
            connection = socket.create_connection((name.strip("[]"), int(port)), timeout)
        except UnicodeError:
            raise _wrong(f"'{name}' of '{self.host}' is no host's name") from None
        # A wait may take days; a network in between forgets a connection on which nothing is said.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return self._encrypted(connection, name.strip("[]")) if self.certificates else connection

    def _encrypted(self, connection: socket.socket, name: str) -> socket.socket:
        import ssl

        folder = self.certificates or Path()
        there = {kind: file for kind in ("ca", "cert", "key") if (file := folder / f"{kind}.pem").is_file()}
        try:
            context = ssl.create_default_context(cafile=there.get("ca"))
            if not self.verify:
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            if "cert" in there:
                context.load_cert_chain(there["cert"], there.get("key"))
            return context.wrap_socket(connection, server_hostname=name)
        except ssl.SSLError as error:
            connection.close()
            raise PreflightError(
                f"the engine at {self.host} and this program do not trust each other: {error.reason or error}",
                hint="see DOCKER_CERT_PATH and DOCKER_TLS_VERIFY, or the certificates of the context",
            ) from None


def _read(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        raise _wrong(f"{file} can't be read") from None
    return found if isinstance(found, dict) else {}


def _wrong(what: str) -> PreflightError:
    return PreflightError(
        f"the settings for the Docker engine are wrong: {what}", hint="see docker context ls, and DOCKER_HOST"
    )
