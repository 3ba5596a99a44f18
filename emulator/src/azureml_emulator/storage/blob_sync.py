"""Synchronization between the folders of a job and the blob store."""

from __future__ import annotations

from pathlib import Path

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobServiceClient


class BlobSync:
    """Downloads and uploads, and remembers what was uploaded, so that a file is uploaded again only after a change."""

    def __init__(self, blobs: BlobServiceClient) -> None:
        self._blobs = blobs
        self._stamps: dict[tuple[str, str], tuple[int, int]] = {}
        """Size and modification time of the file of each blob, by container and name."""

    def download(self, container: str, prefix: str, folder: Path) -> int:
        """The number of blobs below `prefix` that were downloaded to `folder`, with the blob named `prefix` itself."""
        client = self._blobs.get_container_client(container)
        folder.mkdir(parents=True, exist_ok=True)
        prefix, count = prefix.strip("/"), 0
        for blob in client.list_blobs(name_starts_with=prefix or None):
            rest = blob.name[len(prefix) :]
            if prefix and rest and not rest.startswith("/"):
                continue  # a sibling with the same beginning of its name
            file = folder / (rest.strip("/") or Path(blob.name).name)
            file.parent.mkdir(parents=True, exist_ok=True)
            try:
                file.write_bytes(client.download_blob(blob.name).readall())
            except ResourceNotFoundError:
                continue  # another job, which writes there too, deleted it since it was listed
            status = file.stat()
            self._stamps[container, blob.name] = (status.st_size, status.st_mtime_ns)
            count += 1
        return count

    def upload(self, folder: Path, container: str, prefix: str, *, removes: bool = True) -> None:
        """Uploads new and changed files of `folder` to `prefix`; with `removes`, deletes the blobs of deleted files."""
        client = self._blobs.get_container_client(container)
        root = prefix.strip("/")
        present = set()
        for file in sorted(folder.rglob("*")):
            name = f"{root}/{file.relative_to(folder).as_posix()}"
            try:
                if not file.is_file():
                    continue
                status = file.stat()
                stamp = (status.st_size, status.st_mtime_ns)
                present.add(name)
                if self._stamps.get((container, name)) != stamp:
                    client.upload_blob(name, file.read_bytes(), overwrite=True)
                    self._stamps[container, name] = stamp
            except FileNotFoundError:
                present.discard(name)  # renamed or removed since it was listed
        for known_container, name in list(self._stamps) if removes else ():
            if known_container == container and name.startswith(f"{root}/") and name not in present:
                del self._stamps[container, name]
                try:
                    client.delete_blob(name)
                except ResourceNotFoundError:
                    continue  # already deleted
