"""Names as HTML, and the frame of a page without a script."""

from __future__ import annotations

from html import escape
from importlib.resources import files


def insert_word_breaks(name: str) -> str:
    """`name` as HTML that may be broken into lines where its words end."""
    return escape(name).replace("_", "_<wbr>").replace("/", "/<wbr>")


def static_page(title: str, style: str, body: str) -> str:
    """A whole page of HTML that fetches nothing and has no script. `title` is text, `body` is HTML."""
    css = files(__package__).joinpath("report.css").read_text(encoding="utf-8")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<style>{css}{style}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""
