"""What `innereye-run init` writes: a project of one's own that trains at once."""
