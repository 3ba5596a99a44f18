"""Credentials taken out of text that is shown or recorded, and values that look like credentials."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

HIDDEN: Final = "***"

# Patterns are compiled when they are first needed: most commands have nothing to redact.
_VARIABLES: Final = r"(?!\$\{?\w+\}?(?::\$\{?\w+\}?)?@)"
"""Not where the names of variables stand for the values."""
_IN_URL: Final = (
    rf"(?<=://){_VARIABLES}"
    r"[^/\s:@'\"<>]*:[^/\s@'\"<>]+@"  # user:password@
    rf"|(?:(?<=http://)|(?<=https://)){_VARIABLES}"
    r"[^/\s:@'\"<>]+@"  # a token in place of the user
)
_PARAMETER: Final = (
    r"(?i)((?:[?&;])(?:sig|signature|sas|token|access_token|auth|api[_-]?key|key|password|pwd|secret|client_secret"
    r"|x-amz-(?:signature|credential|security-token)|x-goog-(?:signature|credential))=)[^&;\s'\"<>#]+"
)
_SETTING: Final = (
    r"(?i)\b((?:AccountKey|SharedAccessKey|SharedAccessSignature)=|Authorization:\s*(?:Bearer|Basic)\s+)[^;\s'\"<>]+"
)
_KNOWN_FORM: Final = (
    r"-----BEGIN [A-Z ]*PRIVATE KEY|\bgh[pousr]_[A-Za-z0-9]{30,}|\bgithub_pat_\w{30,}|\bglpat-[\w-]{16,}"
    r"|\bAKIA[0-9A-Z]{16}\b|\bhf_[A-Za-z0-9]{30,}|\bsk-[\w-]{20,}|\bxox[abprs]-[\w-]{10,}"
    r"|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}"
)
_SECRET_NAME: Final = (
    r"(?i)(?:^|_)(?:TOKEN|SECRET|PASSWORD|PASSWD|PWD|API_?KEY|ACCESS_?KEY|ACCOUNT_?KEY|PRIVATE_?KEY|CREDENTIALS?"
    r"|CONNECTION_STRING|SAS)(?:$|_)"
)
_SHORTEST: Final = 8


@lru_cache(maxsize=16)  # a manifest may be one long line, which each of its diagnostics shows
def redacted(text: str) -> str:
    """`text` with *** for credentials: user:password in URLs, signatures and keys in their queries, account keys."""
    if "://" in text:
        text = re.sub(_IN_URL, f"{HIDDEN}@", text)
    if "=" in text:
        text = re.sub(_PARAMETER, rf"\g<1>{HIDDEN}", text)
    return re.sub(_SETTING, rf"\g<1>{HIDDEN}", text)


def redacted_data(value: Any) -> Any:
    """Plain data with every text in it redacted."""
    match value:
        case str():
            return redacted(value)
        case dict():
            return {name: redacted_data(each) for name, each in value.items()}
        case list() | tuple():
            return [redacted_data(each) for each in value]
    return value


def looks_like_secret(value: str, name: str = "") -> bool:
    """True where `value` has the form of a credential, or `name` says that it is one and it is not a path or number."""
    if re.search(_KNOWN_FORM, value) or redacted(value) != value:
        return True
    harmless = len(value) < _SHORTEST or value.startswith(("/", "./", "~", "$")) or value.replace(".", "").isdecimal()
    return not harmless and re.search(_SECRET_NAME, name) is not None
