"""The API that users write against: containers, their parameters, inference hooks, and how a class is found by name."""
