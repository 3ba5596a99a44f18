"""A run folder: its paths, its record, its list of outputs, and reading one."""
