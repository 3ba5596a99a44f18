"""The datasets of an earlier run beside those that are in their place now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from innereye_runtime.data.datasets import preflight
from innereye_runtime.data.fingerprint.fingerprint import fingerprint
from innereye_runtime.manifest.model import Dataset


def datasets_that_differ(datasets: Sequence[Dataset], recorded: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """One line on each dataset on this machine that has another fingerprint than run.json has of it.

    Raises:
        DataError: one is missing or can't be read; it names the key.
    """
    for folder, then in zip(preflight(datasets), recorded, strict=False):
        if folder is None or not then.get("sha256"):
            continue
        now = fingerprint(folder).sha256
        if now != then["sha256"]:
            name = then.get("id") or folder.name
            yield f"the run had another dataset {name}: sha256 {then['sha256'][:12]}..., and {folder} has {now[:12]}..."
