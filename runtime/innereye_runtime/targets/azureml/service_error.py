"""What goes wrong between this machine and a service, as the connections of this package raise it.

It has the attributes that the errors of azure-core have, which takes 13 MB to import.
"""

from __future__ import annotations


class ServiceError(Exception):
    """The service said no or nothing."""

    def __init__(
        self, message: str, status_code: int | None = None, error_code: str = "", retry_after: float = 0.0
    ) -> None:
        super().__init__(message, status_code, error_code, retry_after)
        self.message = message
        self.status_code = status_code
        """None: no answer came, or not the whole of it."""
        self.error_code = error_code
        """In the service's own words: BlobNotFound."""
        self.retry_after = retry_after
        """Seconds that the service asks to wait."""

    def __str__(self) -> str:
        return self.message


class SignInError(ServiceError):
    """No token was given, or one was refused."""
