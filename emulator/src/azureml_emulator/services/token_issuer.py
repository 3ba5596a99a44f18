"""The token service, login.microsoftonline.com: issues tokens for client credentials, valid for this emulator only."""

from __future__ import annotations

import base64
import json
import time
import urllib.parse
from typing import Any

from azureml_emulator.http import Response, ServiceError, arm_error

TENANT = "11111111-1111-1111-1111-111111111111"
CLIENT = "22222222-2222-2222-2222-222222222222"
_LOGIN = f"https://login.microsoftonline.com/{TENANT}"
LIFETIME_SECONDS = 3600


class TokenIssuer:
    """Issues tokens, and checks which of them are valid."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        """The secret of the only client; each emulator generates a new one."""
        self._count = 0
        self._expired = 0

    def issue(self, audience: str) -> str:
        """A token in the form of a JWT, not signed: Azurite's `--oauth basic` and the SDK only read its claims."""
        self._count += 1
        now = int(time.time())
        claims = {
            "aud": audience,
            "iss": f"https://sts.windows.net/{TENANT}/",
            "iat": now,
            "nbf": now - 60,
            "exp": now + LIFETIME_SECONDS,
            "tid": TENANT,
            "oid": CLIENT,
            "ver": "1.0",
            "number": self._count,
        }
        return ".".join([_part({"alg": "none", "typ": "JWT"}), _part(claims), "ZW11bGF0b3I"])

    def expire_all(self) -> None:
        """Tokens that were issued so far are rejected from now on."""
        self._expired = self._count

    def check(self, header: str) -> None:
        """Returns if the header has a valid token.

        Raises:
            ServiceError: 401, with Azure's message.
        """
        scheme, _, token = header.partition(" ")
        if scheme != "Bearer" or token.count(".") != 2:
            raise arm_error(401, "AuthenticationFailed", "the request has no bearer token")
        if _claims(token).get("number", 0) <= self._expired:
            raise arm_error(
                401,
                "ExpiredAuthenticationToken",
                "The access token expiry UTC time is earlier than current UTC time.",
                {"WWW-Authenticate": f'Bearer authorization_uri="{_LOGIN}", error="invalid_token"'},
            )

    def respond(self, path: str, body: str) -> Response:
        """The response of the token service.

        Raises:
            ServiceError: the secret is wrong, or the path does not exist.
        """
        if "discovery/instance" in path:
            aliases = ["login.microsoftonline.com", "login.windows.net"]
            network = {"preferred_network": aliases[0], "preferred_cache": aliases[1], "aliases": aliases}
            endpoint = f"{_LOGIN}/v2.0/.well-known/openid-configuration"
            return Response(200, {"tenant_discovery_endpoint": endpoint, "metadata": [network]})
        if "openid-configuration" in path:
            return Response(
                200,
                {
                    "issuer": f"{_LOGIN}/v2.0",
                    "token_endpoint": f"{_LOGIN}/oauth2/v2.0/token",
                    "authorization_endpoint": f"{_LOGIN}/oauth2/v2.0/authorize",
                    "device_authorization_endpoint": f"{_LOGIN}/oauth2/v2.0/devicecode",
                },
            )
        if not path.endswith("/token"):
            raise ServiceError(404, {"error": "not_found"})
        form = dict(urllib.parse.parse_qsl(body))
        if form.get("client_id") != CLIENT or form.get("client_secret") != self._secret:
            raise ServiceError(
                401, {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret."}
            )
        audience = form.get("scope", "").split(" ")[0].removesuffix("/.default")
        answer = {"token_type": "Bearer", "expires_in": LIFETIME_SECONDS, "access_token": self.issue(audience)}
        return Response(200, answer)


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _claims(token: str) -> dict[str, Any]:
    try:
        payload = token.split(".")[1]
        claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except ValueError:
        return {}
    return claims
