"""A throw-away certificate authority, and one server certificate for the Azure host names.

The names are the real ones on purpose: the SDK builds several of them itself (`https://{account}.blob.{suffix}`), and
TLS is compulsory (azure-core refuses to send a bearer token over http).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import trustme

HOSTS = (
    "management.azure.com",
    "login.microsoftonline.com",
    "*.api.azureml.ms",
    "*.blob.core.windows.net",
    "localhost",
    "127.0.0.1",
)
VALIDITY = dt.timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """Files in PEM format."""

    authority: Path
    """What a client has to trust."""
    certificate: Path
    key: Path


def make_certificates(folder: Path) -> Certificates:
    """A new authority and a certificate that it signed, in `folder`, valid for a week. The authority's key is not
    written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = Certificates(
        authority=folder / "authority.pem", certificate=folder / "certificate.pem", key=folder / "key.pem"
    )
    authority = trustme.CA(organization_name="azureml-emulator")
    server = authority.issue_cert(
        *HOSTS, organization_name="azureml-emulator", not_after=dt.datetime.now(dt.UTC) + VALIDITY
    )
    authority.cert_pem.write_to_path(files.authority)
    for part in server.cert_chain_pems:
        part.write_to_path(files.certificate, append=True)
    files.key.touch(mode=0o600)
    server.private_key_pem.write_to_path(files.key)
    return files
