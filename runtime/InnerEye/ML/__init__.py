"""Containers and their parameters, under their old names."""  # noqa: N999
