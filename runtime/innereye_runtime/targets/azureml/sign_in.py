"""The login of this user. azure-identity, which takes 33 MB, is imported where it is needed for a moment: a process
that follows a job has a token, and asks another one for the next.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from innereye_runtime.targets.azureml.apart import run_apart
from innereye_runtime.targets.azureml.service_error import ServiceError, SignInError

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

_MARGIN_SECONDS = 300
"""A token is replaced that long before it expires."""


class Token(NamedTuple):
    """As clients of azure-core take one."""

    token: str
    expires_on: int
    """Seconds since 1970."""


class SignIn:
    """A credential, for clients of azure-core too. Any number of threads may ask it at the same time."""

    def __init__(self) -> None:
        self._tokens: dict[str, Token] = {}
        self._signed_in: set[str] = set()
        """The scopes that there was a token of."""
        self._own: TokenCredential | None = None
        self._lock = threading.Lock()

    def get_token(self, *scopes: str, **_: object) -> Token:
        """A token for the scope.

        Raises:
            SignInError: there is no login, or it is refused.
            ServiceError: the service that gives tokens can't be reached.
        """
        (scope,) = scopes
        with self._lock:
            old = self._tokens.get(scope)
            if old is None or old.expires_on - time.time() < _MARGIN_SECONDS:
                try:
                    self._tokens[scope] = self._new(scope)
                except ServiceError:
                    if old is None or old.expires_on < time.time():
                        raise
                    return old  # it is tried again with the next request
                self._signed_in.add(scope)
            return self._tokens[scope]

    def forget(self) -> None:
        """The next token is a new one."""
        with self._lock:
            self._tokens.clear()

    def _new(self, scope: str) -> Token:
        if self._own is None:
            try:
                return run_apart(fetch_token, scope)
            except SignInError as error:
                if error.status_code is None and scope in self._signed_in:
                    # azure-identity says so of a network that is down, too: no reason to ask a person, or to give up.
                    raise ServiceError(str(error)) from error
                if not _is_terminal():
                    raise
            # A person who signs in with a code does so once: this process keeps the login.
            self._own = make_credential(asks=True)
        return _token(self._own, scope)


def fetch_token(scope: str) -> Token:
    """A token from what signs in without a question."""
    return _token(make_credential(asks=False), scope)


def make_credential(*, asks: bool) -> TokenCredential:
    """What signs in: variables of the environment, a managed identity, `az login`; where it `asks`, at last a device
    code.
    """
    from azure.identity import ChainedTokenCredential, DefaultAzureCredential, DeviceCodeCredential

    usual = DefaultAzureCredential(
        exclude_interactive_browser_credential=True,
        exclude_powershell_credential=True,
        exclude_shared_token_cache_credential=True,
        exclude_visual_studio_code_credential=True,
    )
    if not (asks and _is_terminal()):
        return usual
    # One by one: as a whole it says that this user was refused, and no other way is tried then.
    return ChainedTokenCredential(*usual.credentials, DeviceCodeCredential(prompt_callback=_show_code))


def _token(credential: TokenCredential, scope: str) -> Token:
    """Raises the errors of azure-core as ours, which another process can read."""
    from azure.core.exceptions import AzureError, ClientAuthenticationError

    try:
        found = credential.get_token(scope)
    except ClientAuthenticationError as error:
        raise SignInError(error.message, error.status_code) from error
    except AzureError as error:
        raise ServiceError(error.message, getattr(error, "status_code", None)) from error
    return Token(found.token, found.expires_on)


def _is_terminal() -> bool:
    return os.isatty(0) and os.isatty(2)


def _show_code(address: str, code: str, expires: object) -> None:
    sys.stderr.write(f"to sign in to Azure, open {address} and enter the code {code}\n")
    sys.stderr.flush()
