"""Parameters: the classes that declare them, what is known of one, and how `param` 1 spelled them."""
