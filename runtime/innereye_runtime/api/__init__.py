"""What users subclass: the container, the module, inference and the parameters they come with."""
