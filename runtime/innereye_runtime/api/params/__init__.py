"""The parameters that every container has, by theme."""
