"""The ranks of one job on one machine: which of them are started here, and what the end of one means for the others."""
