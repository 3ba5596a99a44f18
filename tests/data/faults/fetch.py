"""A process that fetches one dataset: `fetch.py URL`. Prints its folder, or the message of the error; exits with its
code.

Blocks are small and patience is short, so that a few kilobytes and a second show what gigabytes and minutes would.
"""

from __future__ import annotations

import sys

from innereye_runtime.data import blobs, download, fingerprint, hashing
from innereye_runtime.data.blobs import BlobSource, BlobUrl, Patience
from innereye_runtime.data.bringing import Brought, bring
from innereye_runtime.data.progress import Quiet
from innereye_runtime.errors import InnerEyeError

BLOCK = 64 << 10
PATIENCE = Patience(silent=0.4, longest=90, total=2.0, tries=4, pause=0.01)


def small_blocks() -> None:
    for module in (download, fingerprint, hashing):
        vars(module)["BLOCK"] = BLOCK
    vars(blobs)["_PAGE"] = 4


def fetch(url: str, patience: Patience = PATIENCE) -> Brought:
    return bring(BlobSource(BlobUrl.parse(url), patience=patience), "download", strict=False, progress=Quiet())


if __name__ == "__main__":
    small_blocks()
    try:
        print(fetch(sys.argv[1]).path)
    except InnerEyeError as error:
        print(error)
        sys.exit(error.exit_code)
