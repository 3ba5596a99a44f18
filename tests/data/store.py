"""A real blob store for tests: Azurite on this machine, with an account whose key is made for the one run."""

from __future__ import annotations

import base64
import hmac
import os
import secrets
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

ROOT = Path(__file__).resolve().parents[2]
ACCOUNT = "tests"
VERSION = "2021-12-02"
OPTIONS = ["--skipApiVersionCheck", "--disableTelemetry", "--silent"]


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port


class Azurite:
    """The store, until `stop`."""

    def __init__(self, folder: Path, *, in_memory: bool = True) -> None:
        self.key = base64.b64encode(secrets.token_bytes(64)).decode()
        self.port = free_port()
        local = ROOT / "node_modules" / ".bin" / "azurite-blob"
        program = str(local) if local.is_file() else shutil.which("azurite-blob")
        assert program is not None
        place = ["--inMemoryPersistence"] if in_memory else ["--location", str(folder)]
        self.log = folder / "azurite.log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [program, "--blobHost", "127.0.0.1", "--blobPort", str(self.port), *place, *OPTIONS],
                env={**os.environ, "AZURITE_ACCOUNTS": f"{ACCOUNT}:{self.key}"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"Azurite did not start: {self.log.read_text()}") from None
                time.sleep(0.05)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}/{ACCOUNT}"

    def environment(self, endpoint: str = "") -> dict[str, str]:
        """What a user would set to reach it, through `endpoint` where one is given."""
        settings = {"AccountName": ACCOUNT, "AccountKey": self.key, "BlobEndpoint": endpoint or self.endpoint}
        return {"AZURE_STORAGE_CONNECTION_STRING": ";".join(f"{name}={value}" for name, value in settings.items())}

    def reader(self, container: str) -> Any:
        """A container as the azureml target reads it."""
        from innereye_runtime.targets.azureml.blobs import BlobReader
        from innereye_runtime.targets.azureml.connections import Connections

        return BlobReader(Connections(), f"{self.endpoint}/{container}", account=ACCOUNT, secret=self.key)

    def create(self, container: str) -> Container:
        """A new, empty container."""
        date = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
        headers = f"x-ms-date:{date}\nx-ms-version:{VERSION}\n"
        signed = f"PUT{chr(10) * 12}{headers}/{ACCOUNT}/{ACCOUNT}/{container}\nrestype:container"
        request = urllib.request.Request(
            f"{self.endpoint}/{container}?restype=container",
            method="PUT",
            headers={
                "x-ms-date": date,
                "x-ms-version": VERSION,
                "Authorization": f"SharedKey {ACCOUNT}:{self._sign(signed)}",
            },
        )
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60):
            return Container(self, container)

    def sas(self, permissions: str, *, ends: timedelta = timedelta(hours=1)) -> str:
        """An account SAS for blobs: of `r` (read) and `l` (list), those that are in `permissions`."""
        end = (datetime.now(UTC) + ends).strftime("%Y-%m-%dT%H:%M:%SZ")
        signed = "\n".join([ACCOUNT, permissions, "b", "sco", "", end, "", "http,https", VERSION, "", ""])
        values = {"sv": VERSION, "ss": "b", "srt": "sco", "sp": permissions, "se": end, "spr": "http,https"}
        return urlencode({**values, "sig": self._sign(signed)})

    def _sign(self, text: str) -> str:
        digest = hmac.digest(base64.b64decode(self.key), text.encode(), "sha256")
        return base64.b64encode(digest).decode()

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Container:
    """Blobs to write, past every proxy."""

    def __init__(self, store: Azurite, name: str) -> None:
        from obstore.store import AzureStore

        self.name = name
        self._blobs = AzureStore(
            name,
            config={"account_name": ACCOUNT, "account_key": store.key, "endpoint": store.endpoint},
            client_options={"allow_http": True},
        )

    def put(self, files: Mapping[str, bytes]) -> None:
        import obstore

        for name, content in files.items():
            options: dict[str, Any] = {"chunk_size": 8 << 20} if len(content) > 8 << 20 else {}
            obstore.put(self._blobs, name, content, **options)

    def delete(self, name: str) -> None:
        import obstore

        obstore.delete(self._blobs, name)

    def url(self, path: str = "") -> str:
        return f"azure://{ACCOUNT}/{self.name}" + (f"/{path}" if path else "")
