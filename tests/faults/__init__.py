"""The fault bench: jobs that are killed and stopped at random moments, for hours. `make faults` runs it."""
