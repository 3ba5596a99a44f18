"""The proxies that the `docker` command's configuration has for containers."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from innereye_runtime.data.cache_dirs import user_home
from innereye_runtime.errors import PreflightError

_VARIABLES: Final = {
    "httpProxy": "HTTP_PROXY",
    "httpsProxy": "HTTPS_PROXY",
    "ftpProxy": "FTP_PROXY",
    "noProxy": "NO_PROXY",
    "allProxy": "ALL_PROXY",
}
"""Source: https://docs.docker.com/engine/cli/proxy"""


def proxies_of_containers(
    host: str, given: Mapping[str, str], environment: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """The variables that `docker run` would set in a container of the engine at `host`, in both spellings. Those that
    `given` has in either are left out.

    Raises:
        PreflightError: config.json can't be read.
    """
    folder = Path(environment.get("DOCKER_CONFIG") or user_home() / ".docker")
    proxies = _settings(folder / "config.json").get("proxies")
    if not isinstance(proxies, dict):
        return {}
    own = proxies.get(host) or proxies.get("default")
    taken = {name.upper() for name in given}
    found: dict[str, str] = {}
    for key, name in _VARIABLES.items():
        value = own.get(key) if isinstance(own, dict) else None
        if isinstance(value, str) and value and name not in taken:
            found |= {name: value, name.lower(): value}
    return found


def _settings(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise PreflightError(
            f"{file} can't be read: {error}", hint="see docker context ls, and DOCKER_CONFIG"
        ) from error
    return found if isinstance(found, dict) else {}
