"""What the Azure packages raise, as this program's own errors, in one place; and how often a request is tried again."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import TypeVar

from innereye_runtime.errors import InnerEyeError, PreflightError, UsageError
from innereye_runtime.targets.azureml.service_error import ServiceError, SignInError

T = TypeVar("T")

SIGN_IN = (
    "sign in with az login, or set AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_CLIENT_SECRET (or the like; "
    "see azure-identity's EnvironmentCredential)"
)
TRIES = 6
_PAUSE_SECONDS, _LONGEST_PAUSE, _LONGEST_WAIT = 0.5, 4.0, 60.0
"""The last one: where the service says how long to wait."""
_TRANSIENT = {408, 429, 500, 502, 503, 504}


class UnreachableError(PreflightError):
    """The service did not answer, or not in a way that tells whether it did what it was asked for."""


@contextmanager
def map_azure_errors(doing: str, *, hint: str = "") -> Iterator[None]:
    """Lets errors of the services and of the Azure packages leave the block as ours. `doing`: "submitting the job", for
    the message.

    Raises:
        PreflightError: no access, nothing there, refused.
        UnreachableError: no answer, or the service's own failure.
        UsageError: the SDK finds fault with what it was given.
    """
    try:
        yield
    except InnerEyeError:
        raise
    except Exception as error:
        if not _is_of_service(error):
            raise
        if is_of_sign_in(error):
            raise PreflightError(f"{doing}: Azure authentication failed: {_first_line(error)}", hint=SIGN_IN) from error
        if isinstance(error, _ml_exceptions()):  # an AzureError too
            raise UsageError(f"{doing}: {_first_line(error)}", hint=hint) from error
        if _was_answered(error):
            raise _of_status(doing, error, hint) from error
        # no connection, or none that lasted until the answer
        raise UnreachableError(
            f"{doing}: Azure can't be reached: {_first_line(error)}", hint=hint or "try again"
        ) from error


def with_retries(action: Callable[[], T], *, tries: int = TRIES) -> T:
    """What `action` gives, which may be done more than once: tried again where the service did not answer or was busy,
    and once with a new token where the old one had expired.
    """
    renewed = False
    for number in range(1, tries + 1):
        try:
            return action()
        except Exception as error:
            if not _is_of_service(error) or number == tries or isinstance(error, _ml_exceptions()):
                raise
            status = getattr(error, "status_code", None)
            if is_of_sign_in(error):
                if status != HTTPStatus.UNAUTHORIZED or renewed:
                    raise
                renewed = True
            elif _was_answered(error) and not is_transient(status):
                raise
            asked = getattr(error, "retry_after", 0.0)
        pause = min(_LONGEST_PAUSE, _PAUSE_SECONDS * 2 ** (number - 1)) * random.uniform(0.75, 1.25)
        time.sleep(max(pause, min(asked, _LONGEST_WAIT)))
    raise AssertionError("the last try returns or raises")


def _azure_errors(*names: str) -> tuple[type[Exception], ...]:
    """Errors of azure-core; none of them was raised where it was not imported."""
    module = sys.modules.get("azure.core.exceptions")
    return tuple(getattr(module, name) for name in names) if module is not None else ()


def _is_of_service(error: BaseException) -> bool:
    return isinstance(error, (ServiceError, *_azure_errors("AzureError")))


def is_of_sign_in(error: BaseException | None) -> bool:
    """True where this user was refused: a token that had expired, or no token at all."""
    return isinstance(error, (SignInError, *_azure_errors("ClientAuthenticationError")))


def _was_answered(error: BaseException) -> bool:
    """Whether the service answered; where only a part of the answer came, in the words of azure-core it did."""
    if isinstance(error, ServiceError):
        return error.status_code is not None
    return isinstance(error, _azure_errors("HttpResponseError"))


def _ml_exceptions() -> tuple[type[Exception], ...]:
    """The errors of azure-ai-ml; none of them was raised where it was not imported."""
    module = sys.modules.get("azure.ai.ml.exceptions")
    return (module.MlException,) if module is not None else ()


def is_transient(status: int | None) -> bool:
    """True for a service that is busy or has failed, and for a good answer of which only a part came."""
    return status is None or status < 400 or status in _TRANSIENT


def is_not_found(error: BaseException | None) -> bool:
    """True where `error` comes from the service's answer that what was asked for isn't there."""
    missing = _azure_errors("ResourceNotFoundError")
    while error is not None:
        if isinstance(error, missing) or (
            isinstance(error, ServiceError) and error.status_code == HTTPStatus.NOT_FOUND
        ):
            return True
        error = error.__cause__ or error.__context__
    return False


def _of_status(doing: str, error: Exception, hint: str) -> PreflightError:
    status = getattr(error, "status_code", None)
    line = _first_line(error)
    if status in (401, 403):
        return PreflightError(f"{doing}: no access: {line}", hint=hint or SIGN_IN)
    if is_transient(status):
        said = f"Azure answered {status}: {line}" if status in _TRANSIENT else f"the connection broke: {line}"
        return UnreachableError(f"{doing}: {said}", hint=hint or "try again")
    return PreflightError(f"{doing}: {line}", hint=hint)


def _first_line(error: Exception) -> str:
    """The first sentence of an error whose text may go on for a page."""
    text = str(getattr(error, "message", "") or error).strip()
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    line = lines[0] if lines else type(error).__name__
    # azure-core puts the service's own code before its message.
    return line.removeprefix("(UserError) ")[:500]
