"""Paths, parsing and helpers, under their old names."""  # noqa: N999
