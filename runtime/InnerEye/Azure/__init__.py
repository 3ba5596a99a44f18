"""Settings of a job in Azure, under their old name."""  # noqa: N999
