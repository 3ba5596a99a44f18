"""What a parameter of a container is: its type, bounds and text forms, and how one is read from a class."""
