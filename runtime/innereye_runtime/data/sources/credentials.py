"""Which store an account's blobs are in and what opens it, from the environment, as Azure's own tools name it.

First that is there: `AZURE_STORAGE_CONNECTION_STRING` (of this account; also says the endpoint, as for Azurite),
`AZURE_STORAGE_SAS_TOKEN`, `AZURE_STORAGE_KEY`, then azure-identity's default credential. Nothing is asked for before
a blob is.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from innereye_runtime.errors import DataError, PreflightError

SCOPE = "https://storage.azure.com/.default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How to reach the blobs of one account. Never shown: `repr` leaves out what is secret."""

    account: str
    endpoint: str
    key: str = field(default="", repr=False)
    sas: str = field(default="", repr=False)

    @property
    def how(self) -> str:
        """What opens the store, for a message."""
        if self.key:
            return "an account key"
        return "a SAS token" if self.sas else "the default credential of azure-identity"

    def for_sdk(self) -> Any:
        """The credential as Azure's own SDK takes it.

        Raises:
            PreflightError: azure-identity is needed and isn't installed, or there is no sign-in.
        """
        if self.key:
            return self.key
        if self.sas:
            from azure.core.credentials import AzureSasCredential

            return AzureSasCredential(self.sas.lstrip("?"))
        return _signed_in(self.account)

    def provider(self) -> Callable[[], Any]:
        """A credential provider for `obstore`.

        Raises:
            PreflightError: azure-identity is needed and isn't installed.
        """
        if self.key:
            return lambda: {"access_key": self.key, "expires_at": None}
        if self.sas:
            pairs = parse_qsl(self.sas.lstrip("?"), keep_blank_values=True)
            return lambda: {"sas_token": pairs, "expires_at": None}
        return _identity(self.account)


def access(account: str, environment: Mapping[str, str] | None = None) -> Access:
    """The access to `account` that the environment (default: this process's) describes."""
    environment = os.environ if environment is None else environment
    endpoint = f"https://{account}.blob.core.windows.net"
    settings = _settings(environment.get("AZURE_STORAGE_CONNECTION_STRING", ""))
    if settings.get("accountname", account) == account and settings:
        suffix = settings.get("endpointsuffix", "core.windows.net")
        protocol = settings.get("defaultendpointsprotocol", "https")
        return Access(
            account=account,
            endpoint=settings.get("blobendpoint", f"{protocol}://{account}.blob.{suffix}").rstrip("/"),
            key=settings.get("accountkey", ""),
            sas=settings.get("sharedaccesssignature", ""),
        )
    if environment.get("AZURE_STORAGE_ACCOUNT", account) != account:
        return Access(account=account, endpoint=endpoint)
    return Access(
        account=account,
        endpoint=endpoint,
        sas=environment.get("AZURE_STORAGE_SAS_TOKEN", ""),
        key="" if environment.get("AZURE_STORAGE_SAS_TOKEN") else environment.get("AZURE_STORAGE_KEY", ""),
    )


def _settings(connection_string: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in connection_string.split(";"))
    return {name.strip().lower(): value.strip() for name, _, value in pairs if value}


def _signed_in(account: str) -> Any:
    """The default credential of azure-identity, which has a token by now."""
    try:
        from azure.identity import DefaultAzureCredential
    except ImportError:
        raise PreflightError(
            f"the blobs of {account} need a credential, and the environment has none",
            hint="set AZURE_STORAGE_SAS_TOKEN, AZURE_STORAGE_KEY or AZURE_STORAGE_CONNECTION_STRING, "
            "or install innereye-runtime[blobs] to sign in as Azure's own tools do",
        ) from None
    from azure.core.exceptions import ClientAuthenticationError

    credential = DefaultAzureCredential()
    log = logging.getLogger("azure.identity")
    level = log.level
    log.setLevel(logging.ERROR)  # it warns of each way to sign in that it tried, and the error says all of it
    try:
        credential.get_token(SCOPE)
    except ClientAuthenticationError as error:
        raise PreflightError(
            f"the blobs of {account} need a credential: the environment has none, and you are not logged in to Azure",
            hint="set AZURE_STORAGE_SAS_TOKEN, AZURE_STORAGE_KEY or AZURE_STORAGE_CONNECTION_STRING, "
            "or sign in: az login",
        ) from error
    finally:
        log.setLevel(level)
    return credential


def _identity(account: str) -> Callable[[], Any]:
    credential = _signed_in(account)
    from azure.core.exceptions import ClientAuthenticationError

    def token() -> dict[str, Any]:
        try:
            found = credential.get_token(SCOPE)
        except ClientAuthenticationError as error:
            raise DataError(f"the blobs of {account}: the sign-in ended: {str(error).splitlines()[0]}") from error
        return {"token": found.token, "expires_at": datetime.fromtimestamp(found.expires_on, UTC)}

    return token
