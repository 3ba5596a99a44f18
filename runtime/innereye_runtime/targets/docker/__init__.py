"""The Docker target: a job in a container of a local engine."""
