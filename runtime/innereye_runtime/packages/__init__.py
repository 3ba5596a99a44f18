"""What the user's code needs beyond the runtime: requirements files of several kinds, read into one value."""
