"""The network around an image build: this machine's proxies, certificates and pip settings, and its wheels on disk.

The settings become secrets of the build, which no layer and no history keeps: an index's address may hold a password.
"""

from __future__ import annotations

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_KEPT = ("index-url", "extra-index-url", "trusted-host", "timeout", "retries", "proxy")
"""Settings of pip that mean something inside a build; the others name files of this machine, or how pip behaves."""
_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
_CERTIFICATES = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE")


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildNetwork:
    pip: Mapping[str, str]
    """pip's own names for its settings, as `pip config list` has them without their section."""
    proxies: Mapping[str, str]
    certificates: Path | None

    @classmethod
    def current(cls, environment: Mapping[str, str] = os.environ) -> BuildNetwork:
        """What holds for this process and its pip."""
        settings = pip_settings(environment)
        places = [settings.get("cert", ""), *(environment.get(name, "") for name in _CERTIFICATES)]
        return cls(
            pip=settings,
            proxies={name: environment[name] for name in _PROXIES if environment.get(name)},
            certificates=next((Path(place) for place in places if place and Path(place).is_file()), None),
        )

    def write_secrets(self, folder: Path) -> dict[str, Path]:
        """Files for the build's secrets, by their ids; none for what this machine has no setting for."""
        secrets: dict[str, Path] = {}
        kept = {key: _inside(value) for key, value in self.pip.items() if key in _KEPT}
        lines = [f"{key} = {value}" for key, value in kept.items() if value]
        if lines:
            secrets["pip.conf"] = _private(folder / "pip.conf", "\n".join(["[global]", *lines]) + "\n")
        if self.proxies:
            text = "".join(f"{name}={shlex.quote(value)}\n" for name, value in self.proxies.items())
            secrets["proxy.env"] = _private(folder / "proxy.env", text)
        if self.certificates is not None:
            secrets["ca.pem"] = self.certificates
        return secrets

    def download_wheels(self, pins: str, folder: Path) -> list[Path]:
        """The wheels of this machine's pip (its `find-links`) that `pins` name, linked or copied into `folder`."""
        wanted = [
            f"{name.replace('-', '_')}-{version}-"
            for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", pins, flags=re.MULTILINE)
        ]
        staged = []
        for place in self.pip.get("find-links", "").split():
            for wheel in sorted(Path(place.removeprefix("file://")).glob("*.whl")):
                if any(wheel.name.startswith(start) for start in wanted):
                    staged.append(_bring(wheel, folder / wheel.name))
        return staged


def pip_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """pip's settings, the later ones of its files and of the environment winning, as pip itself has it."""
    try:
        listed = subprocess.run(
            [sys.executable, "-m", "pip", "config", "list"],
            capture_output=True, text=True, timeout=60, check=False, env=dict(environment),
        ).stdout  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        listed = ""
    settings = {}
    for line in listed.splitlines():
        key, equals, value = line.partition("=")
        if equals:
            settings[key.rpartition(".")[2]] = str(ast.literal_eval(value))
    for name, value in environment.items():  # also where this Python has no pip of its own
        if name.startswith("PIP_") and value:
            settings[name.removeprefix("PIP_").lower().replace("_", "-")] = value
    return settings


def _inside(value: str) -> str:
    """`value` without the addresses that are files of this machine."""
    return " ".join(word for word in value.split() if not word.startswith("file:"))


def _private(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
    return path


def _bring(wheel: Path, place: Path) -> Path:
    if not (place.exists() and place.stat().st_size == wheel.stat().st_size):
        place.unlink(missing_ok=True)
        try:
            os.link(wheel, place)
        except OSError:  # another file system, or one without links
            shutil.copy2(wheel, place)
    return place
