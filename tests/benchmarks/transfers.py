"""What `data` runs as processes of their own: one transfer, told as JSON: its seconds and its peak memory.

Each hashes with SHA-256 what it moves; imports are not counted.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import file_digest
from pathlib import Path


def fetch_ours(url: str, target: Path) -> Callable[[], None]:
    from innereye_runtime.data.progress import NullProgress
    from innereye_runtime.data.staging import source_of, stage

    os.environ["XDG_CACHE_HOME"] = str(target)
    source = source_of(url)
    assert source is not None

    def run() -> None:
        stage(source, "download", strict=False, progress=NullProgress())

    return run


def fetch_azure(url: str, target: Path) -> Callable[[], None]:
    """azure-storage-blob: blobs side by side, and blocks of a large one side by side, hashed from the disk's cache."""
    from azure.storage.blob import BlobServiceClient

    _, _, _, container, path = url.split("/", 4)
    service = BlobServiceClient.from_connection_string(
        os.environ["AZURE_STORAGE_CONNECTION_STRING"], max_single_get_size=8 << 20, max_chunk_get_size=8 << 20
    )
    client = service.get_container_client(container)

    def one(name: str) -> None:
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("w+b") as file:
            client.download_blob(name, max_concurrency=8).readinto(file)
            file.seek(0)
            file_digest(file, "sha256")

    def run() -> None:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(one, [blob.name for blob in client.list_blobs(f"{path}/")]))

    return run


def look_ours(folder: str, target: Path) -> Callable[[], None]:
    """The fingerprint of a folder that was read before."""
    from innereye_runtime.data.fingerprint.fingerprint import fingerprint

    os.environ["XDG_CACHE_HOME"] = str(target)
    fingerprint(Path(folder))

    def run() -> None:
        fingerprint(Path(folder))

    return run


def look_find(folder: str, target: Path) -> Callable[[], None]:
    command = ["find", folder, "-type", "f", "-printf", "%p %s %T@ %C@ %i\n"]
    return lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL) and None  # type: ignore[func-returns-value]


def main(name: str, what: str, target: str) -> None:
    run = globals()[name](what, Path(target))
    started = time.perf_counter()
    run()
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "megabytes": peak_memory() / 1e6}))


def peak_memory() -> int:
    """In bytes, of this process; `getrusage` would tell that of the one that started it, where that was larger."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main(*sys.argv[1:])
