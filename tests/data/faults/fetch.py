"""A process that fetches one dataset: `fetch.py URL`. Prints its folder, or the message of the error; exits with its
code.

Blocks are small and patience is short, so that a few kilobytes and a second show what gigabytes and minutes would.
"""

from __future__ import annotations

import sys

from innereye_runtime.data.cache import download
from innereye_runtime.data.fingerprint import fingerprint, hashing
from innereye_runtime.data.progress import NullProgress
from innereye_runtime.data.sources import blobs
from innereye_runtime.data.sources.blobs import BlobSource, BlobUrl, RetryPolicy
from innereye_runtime.data.staging import StagedDataset, stage
from innereye_runtime.errors import InnerEyeError

BLOCK = 64 << 10
PATIENCE = RetryPolicy(silent=0.4, longest=90, total=2.0, tries=4, pause=0.01)


def small_blocks() -> None:
    for module in (download, fingerprint, hashing):
        vars(module)["BLOCK"] = BLOCK
    vars(blobs)["_PAGE"] = 4


def fetch(url: str, patience: RetryPolicy = PATIENCE) -> StagedDataset:
    return stage(BlobSource(BlobUrl.parse(url), patience=patience), "download", strict=False, progress=NullProgress())


if __name__ == "__main__":
    small_blocks()
    try:
        print(fetch(sys.argv[1]).path)
    except InnerEyeError as error:
        print(error)
        sys.exit(error.exit_code)
