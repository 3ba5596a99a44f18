"""Files whose names look like those of secrets: a snapshot of the code and a diff leave them out."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Final

NAMES: Final = (
    ".env",
    ".env.*",
    "*.env",
    ".envrc",
    "id_rsa",
    "id_dsa",
    "id_ecdsa",
    "id_ed25519",
    "id_*_sk",
    "*.pem",
    "*.key",
    "*.p12",
    "*.pfx",
    "*.ppk",
    "*.jks",
    "*.keystore",
    "*.kdbx",
    "*.gpg",
    "*.ovpn",
    "*.publishsettings",
    "credentials",
    "credentials.*",
    "*-credentials.json",
    "*_credentials.json",
    "client_secret*.json",
    "service-account*.json",
    "service_account*.json",
    "secrets.json",
    "secrets.toml",
    "secrets.yaml",
    "secrets.yml",
    "secret.*",
    ".netrc",
    "_netrc",
    ".pgpass",
    ".pypirc",
    ".npmrc",
    ".htpasswd",
    ".git-credentials",
    ".dockercfg",
    "kubeconfig",
    "accessTokens.json",
    "msal_token_cache.*",
    "*.tfstate",
    "*.tfvars",
)
_FOLDERS: Final = frozenset({".ssh", ".aws", ".azure", ".gnupg", ".kube", ".docker"})
_HARMLESS: Final = re.compile(r"\.(?:example|sample|template|dist|py|pyi|md|rst)$", re.IGNORECASE)
"""`.env.example` is there to be copied; modules of code are read by whoever reads the code."""


def looks_secret(name: str) -> bool:
    """True where the file `name`, relative and with '/', looks like one that holds a secret."""
    path = PurePosixPath(name)
    if _HARMLESS.search(path.name):
        return False
    if any(part in _FOLDERS for part in path.parts[:-1]):
        return True
    base = path.name.lower()
    return any(fnmatchcase(base, pattern.lower()) for pattern in NAMES)
