"""Hashes and fingerprints of files and folders, and the cache of those that are known."""
