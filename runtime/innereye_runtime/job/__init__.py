"""Where the two sides meet: a resolved job, what is handed over to the running side, and the record that comes back."""
