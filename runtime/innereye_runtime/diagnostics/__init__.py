"""What is reported about a manifest or an argument: a diagnostic with its place, its code and its rendering."""
