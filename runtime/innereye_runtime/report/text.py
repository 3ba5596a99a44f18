"""Names as HTML."""

from __future__ import annotations

from html import escape


def insert_word_breaks(name: str) -> str:
    """`name` as HTML that may be broken into lines where its words end."""
    return escape(name).replace("_", "_<wbr>").replace("/", "/<wbr>")
