"""Helpers of containers, under their old name."""  # noqa: N999
