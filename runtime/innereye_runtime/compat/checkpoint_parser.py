"""hi-ml's `CheckpointParser`: a checkpoint named by a file, a URL or a run."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import urlopen

from innereye_runtime.errors import DataError


class CheckpointParser(str):
    """Text that names a checkpoint: a file, a URL, or `RUN[:path/]file` with the path below the run's checkpoints.

    It is text, so that `src_checkpoint` takes it too.
    """

    __slots__ = ()

    @property
    def checkpoint(self) -> str:
        return str(self)

    @property
    def is_url(self) -> bool:
        return urlsplit(self).scheme in ("http", "https")

    @property
    def is_local_file(self) -> bool:
        return not self.is_url and Path(self).is_file()

    @property
    def is_aml_run_id(self) -> bool:
        """Whether it names a run: here one by its folder."""
        return bool(self) and not self.is_url and not self.is_local_file

    def get_path(self, download_folder: Path) -> Path:
        """The checkpoint on this machine; one of a URL is kept in `download_folder`.

        Raises:
            DataError: it isn't there.
        """
        if self.is_url:
            return self._download(download_folder)
        if self.is_local_file:
            return Path(self).resolve()
        run, _, name = self.partition(":")
        for folder in (Path(run), download_folder.parent / run, Path("outputs", run)):
            path = folder / "checkpoints" / (name or "last.ckpt")
            if path.is_file():
                return path.resolve()
        raise DataError(f"there is no checkpoint '{self}'", hint="name a file, a URL, or a run folder as RUN:best.ckpt")

    def _download(self, folder: Path) -> Path:
        target = folder / (Path(unquote(urlsplit(self).path)).name or "weights.ckpt")
        if target.exists():
            return target
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with urlopen(self, timeout=60) as response:
                content = response.read()
        except (OSError, ValueError) as error:
            raise DataError(f"{self} can't be downloaded: {error}", hint="download it, and name the file") from error
        partial = target.with_name(f".{target.name}.part")
        partial.write_bytes(content)
        partial.replace(target)
        return target
