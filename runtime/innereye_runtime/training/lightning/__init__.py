"""The Lightning trainer of a run: its callbacks, loggers and metrics."""
