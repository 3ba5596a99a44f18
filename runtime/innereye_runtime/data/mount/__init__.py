"""Blob containers mounted read-only by FUSE."""
