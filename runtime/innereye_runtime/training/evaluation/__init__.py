"""Test, inference and predictions after training, on one process."""
