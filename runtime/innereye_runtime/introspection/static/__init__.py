"""A class's parameters, read from its source: nothing of the user's is imported."""
