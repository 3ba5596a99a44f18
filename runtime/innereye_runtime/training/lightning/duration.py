"""A length of time in a few characters."""

from __future__ import annotations


def short_duration(seconds: float) -> str:
    """`9 s`, `3 min`, `2 h 5 min`, `4 d 3 h`."""
    minutes, hours = round(seconds / 60), round(seconds / 3600)
    if seconds < 90:
        return f"{round(seconds)} s"
    if minutes < 60:
        return f"{minutes} min"
    if hours < 48:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{hours // 24} d {hours % 24} h"
