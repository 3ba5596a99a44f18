"""Text -> document with spans -> diagnostics -> frozen `Manifest`.

Nothing here reads anything but the manifest's own text.
"""
