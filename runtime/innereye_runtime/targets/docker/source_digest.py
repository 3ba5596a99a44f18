"""Which code this is: one digest over the package's source, which an image carries as a label."""

from __future__ import annotations

import hashlib
from pathlib import Path


def source_digest(package: Path | None = None) -> str:
    """sha256 over name and text of every module of the package at `package`; default: the one that runs."""
    package = package or Path(__file__).resolve().parents[2]
    digest = hashlib.sha256()
    for file in sorted(package.rglob("*.py")):
        text = file.read_bytes()
        digest.update(f"{file.relative_to(package).as_posix()}\0{len(text)}\0".encode())
        digest.update(text)
    return digest.hexdigest()
