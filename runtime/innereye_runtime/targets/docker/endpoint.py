"""Where the Docker engine is: as DOCKER_HOST says, or the current context of the `docker` command.

Read here, as the SDK takes the usual engine where the context that is named is not there, and needs all three files of
a folder of certificates.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from innereye_runtime.data.cache_dirs import user_home
from innereye_runtime.errors import PreflightError

DEFAULT = "unix:///var/run/docker.sock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """unix:///PATH, tcp://HOST:PORT with or without TLS, or ssh://[USER@]HOST[:PORT]."""

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
            raise wrong_settings(f"there is no context '{name}'")
        endpoints = described.get("Endpoints")
        endpoint = endpoints.get("docker") if isinstance(endpoints, dict) else None
        if not isinstance(endpoint, dict) or not isinstance(endpoint.get("Host"), str):
            raise wrong_settings(f"the context '{name}' names no engine in {file}")
        certificates = contexts / "tls" / folder / "docker"
        return cls(
            host=endpoint["Host"],
            certificates=certificates if certificates.is_dir() else None,
            verify=not endpoint.get("SkipTLSVerify"),
        )

    @property
    def is_local(self) -> bool:
        return self.host.startswith("unix:")

    def with_port(self) -> str:
        """The host, of ssh:// with the port that ssh's own settings have for it: the SDK takes 22 without asking."""
        scheme, _, place = self.host.partition("://")
        if scheme != "ssh" or re.search(r":\d+$", place):
            return self.host
        try:
            settings = subprocess.run(
                ["ssh", "-G", "--", place], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
            ).stdout
        except OSError:
            raise wrong_settings(f"'{self.host}' needs the command ssh, which is not here") from None
        port = re.search(r"^port (\d+)$", settings, flags=re.MULTILINE)
        return f"{self.host}:{port[1]}" if port else self.host


def _read(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        raise wrong_settings(f"{file} can't be read") from None
    return found if isinstance(found, dict) else {}


def wrong_settings(what: str) -> PreflightError:
    return PreflightError(
        f"the settings for the Docker engine are wrong: {what}", hint="see docker context ls, and DOCKER_HOST"
    )
