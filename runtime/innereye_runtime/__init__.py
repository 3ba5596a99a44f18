"""Trains a PyTorch Lightning model from one YAML manifest, with the same result on every compute target."""

__version__ = "0.1.0"
