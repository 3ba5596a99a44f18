"""Words of a manifest inside a message: cut short, made visible, and compared for a 'did you mean'."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from innereye_runtime.redaction import redacted

_LONGEST = 60


def clip(text: str) -> str:
    """`text` in at most 60 characters."""
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def quote(text: str) -> str:
    """`text` cut short, with characters that a terminal would act on, or not show, as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in clip(redacted(text)))


def has_value(secret: Any) -> bool:
    """Whether the value stands beside a secret's name: `NAME=value` or `{NAME: value}`."""
    return isinstance(secret, dict) or "=" in str(secret)


def closest_match(word: str, options: Iterable[str]) -> str | None:
    """The option that `word` was most likely meant to be, or None. Case, '-' and '_' make no difference."""
    plain = {_plain(option): option for option in options}
    if _plain(word) in plain:
        return plain[_plain(word)]
    from difflib import get_close_matches  # 3 ms to import, and needed only for a mistake

    matches = get_close_matches(_plain(word)[:_LONGEST], plain, n=1, cutoff=0.7)
    return plain[matches[0]] if matches else None


def _plain(word: str) -> str:
    return word.casefold().replace("-", "_")
