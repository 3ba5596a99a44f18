"""What a run folder knows of its remote copy: who writes it from here, and which version the folder began from."""

from __future__ import annotations

import json
import socket
import uuid
from dataclasses import asdict, dataclass, replace

from innereye_runtime.run.paths import RunPaths
from innereye_runtime.run.process_id import current_process, is_alive
from innereye_runtime.run.record import write_json
from innereye_runtime.run.staged_store import Index


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorState:
    url: str
    """Of the run's own folder, without credentials."""
    writer: str
    """Of all processes that copy this folder, one after another; '': none did, it is a download."""
    sequence: int = 0
    """Of the index that the folder was restored from; 0: it was not."""
    author: str = ""
    """The writer of that index."""
    lease: str = ""
    """The id of the lease of the newest process that copies this folder."""
    process: str = ""
    """That process, as `process_id` names it, on `host`."""
    host: str = ""

    @classmethod
    def read(cls, paths: RunPaths, url: str) -> MirrorState:
        """That of the folder for its copy at `url`; a new one, written there, where it has none.

        Raises:
            OSError: the folder can't be written.
        """
        state = cls._kept(paths)
        if state.url == url and state.writer:
            return state
        if state.url != url:
            state = cls(url=url, writer="")
        state = replace(state, writer=str(uuid.uuid4()))
        state.write(paths)
        return state

    @classmethod
    def is_download(cls, paths: RunPaths, url: str) -> bool:
        """Whether the folder was downloaded from `url`, and no run was resumed in it since."""
        state = cls._kept(paths)
        return state.url == url and not state.writer

    @classmethod
    def copied_now(cls, paths: RunPaths) -> str:
        """The URL that a process of this machine copies the folder to at present; '': none does."""
        state = cls._kept(paths)
        is_held = state.process and state.host == socket.gethostname() and is_alive(state.process)
        return state.url if is_held else ""

    @classmethod
    def _kept(cls, paths: RunPaths) -> MirrorState:
        """That of the folder; one of no URL where it has none."""
        try:
            return cls(**json.loads(paths.mirror.read_text(encoding="utf-8")))
        except (FileNotFoundError, NotADirectoryError, ValueError, TypeError):
            return cls(url="", writer="")

    @classmethod
    def new(cls, url: str) -> MirrorState:
        return cls(url=url, writer=str(uuid.uuid4()))

    def held_by_this_process(self, lease: str) -> MirrorState:
        return replace(self, lease=lease, process=current_process(), host=socket.gethostname())

    def held_by_none(self) -> MirrorState:
        return replace(self, process="")

    @property
    def lease_of_the_gone(self) -> str:
        """The id of the lease of a process that is known to be gone; '': there is none."""
        is_known = self.process and self.host == socket.gethostname()
        return self.lease if is_known and not is_alive(self.process) else ""

    def restored_from(self, index: Index) -> MirrorState:
        return replace(self, sequence=index.sequence, author=index.writer)

    def includes(self, index: Index) -> bool:
        """Whether the folder has all that the newest index of the copy has: it was written from here, or was what the
        folder began with."""
        return index.writer == self.writer or (index.sequence, index.writer) == (self.sequence, self.author)

    def write(self, paths: RunPaths) -> None:
        """Keeps it in the folder, atomically.

        Raises:
            OSError: the folder can't be written.
        """
        write_json(paths.mirror, asdict(self))
