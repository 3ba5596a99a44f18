"""Figures, overlays and charts that a container adds to the report."""
