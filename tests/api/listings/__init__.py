"""Containers as users of the seed system write them, with the old imports only. Each can be trained by a manifest."""
