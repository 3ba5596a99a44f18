"""One module for each command: `parser()` and `run(argv)`."""
