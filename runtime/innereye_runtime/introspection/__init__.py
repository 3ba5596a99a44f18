"""What a container class declares, found and checked without running it."""
