"""Segmentation of brain tissues with MONAI."""
