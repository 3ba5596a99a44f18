"""A run from start to end: its steps, its signals, its output and how it ended."""
