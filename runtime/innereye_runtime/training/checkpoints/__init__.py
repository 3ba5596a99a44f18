"""Checkpoints: written, chosen, read and resumed from."""
