"""What the commands share: parsers, terminal output, progress."""
