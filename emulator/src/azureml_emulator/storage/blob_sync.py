"""Folders of a job and folders of the blob store, kept alike."""

from __future__ import annotations

from pathlib import Path

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobServiceClient


class Mirror:
    """What went up so far, so that a file goes up again only when it changed."""

    def __init__(self, blobs: BlobServiceClient) -> None:
        self._blobs = blobs
        self._stamps: dict[tuple[str, str], tuple[int, int]] = {}
        """Size and time of change of the file behind each blob, by container and name."""

    def download(self, container: str, prefix: str, folder: Path) -> int:
        """The number of blobs below `prefix`, which are now files below `folder`. A blob named `prefix` itself is one
        too.
        """
        client = self._blobs.get_container_client(container)
        folder.mkdir(parents=True, exist_ok=True)
        prefix, count = prefix.strip("/"), 0
        for blob in client.list_blobs(name_starts_with=prefix or None):
            rest = blob.name[len(prefix) :]
            if prefix and rest and not rest.startswith("/"):
                continue  # a sibling whose name begins alike
            file = folder / (rest.strip("/") or Path(blob.name).name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(client.download_blob(blob.name).readall())
            status = file.stat()
            self._stamps[container, blob.name] = (status.st_size, status.st_mtime_ns)
            count += 1
        return count

    def upload(self, folder: Path, container: str, prefix: str, *, removes: bool = True) -> None:
        """Makes the blobs below `prefix` those of `folder`: new and changed files go up; with `removes`, blobs whose
        file has gone, go.
        """
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
                    continue  # removed by somebody else
