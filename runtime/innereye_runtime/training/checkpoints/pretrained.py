"""The checkpoints that a run starts from, where its container names some: files, downloads, or those of another run."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import URLError
from urllib.parse import unquote, urlsplit
from urllib.request import urlopen

from innereye_runtime.errors import DataError, UsageError
from innereye_runtime.job.given_weights import given_weights

if TYPE_CHECKING:
    from innereye_runtime.api.container import LightningContainer

log = logging.getLogger("innereye_runtime")

FOLDER = "pretrained_models"
_TIMEOUT_SECONDS = 60
BEST = "best.ckpt"
_SUFFIXES = (".ckpt", ".pt", ".pth")


def starting_weights(container: LightningContainer, run_folder: Path, cwd: Path) -> list[Path]:
    """The checkpoint files that the container's parameters name, on this machine; relative paths are taken from `cwd`.

    Downloads are kept in the run folder, so that a restart finds them there.

    Raises:
        DataError: one of them isn't there or can't be downloaded.
        UsageError: it is named by something that only AzureML knows, or by a URL that is not encrypted.
    """
    given = given_weights(os.environ)
    is_elsewhere = container.model_id and "model_id" not in given
    if is_elsewhere or container.pretraining_run_recovery_id:
        name = "model_id" if is_elsewhere else "pretraining_run_recovery_id"
        raise UsageError(
            f"{name} is in an AzureML workspace, which this machine cannot reach",
            hint="download the checkpoint and give its path as local_weights_path",
        )
    found = [_file(cwd / path, "local_weights_path") for path in container.local_weights_path]
    found += [_provided(given[name], name) for name in given if getattr(container, name)]
    urls = [*container.weights_url, container.src_checkpoint]
    plain = next((url for url in urls if urlsplit(url).scheme == "http"), None)
    if plain is not None and not container.weights_url_allow_http:
        raise UsageError(
            f"{plain} is not encrypted: anybody on the way can replace the weights",
            hint="use https, or set weights_url_allow_http; '#sha256=...' at the end of a URL checks the file",
        )
    found += [_download(url, run_folder / FOLDER) for url in container.weights_url]
    if container.src_checkpoint and "src_checkpoint" not in given:
        found += _source(container.src_checkpoint, run_folder, cwd)
    return found


def require_weights(container: LightningContainer, found: Sequence[Path]) -> None:
    """Nothing, where `found` has the weights without which what the container asks for would be of random ones.

    Raises:
        UsageError: it has none.
    """
    for parameter in ("run_inference_only", "eval_full", "resume_training"):
        if getattr(container, parameter) and not found:
            raise UsageError(
                f"{parameter} is set, and no weights are given",
                hint="name a checkpoint: src_checkpoint, local_weights_path or weights_url",
            )


def _source(source: str, run_folder: Path, cwd: Path) -> Iterator[Path]:
    """`src_checkpoint`: a file, a URL, or `RUN[:path/]file` with the path below the run's checkpoints."""
    if urlsplit(source).scheme in ("http", "https"):
        yield _download(source, run_folder / FOLDER)
        return
    run, separator, name = source.partition(":")
    if (cwd / source).is_file() or not separator:
        yield _file(cwd / source, "src_checkpoint")
        return
    for folder in (cwd / run, run_folder.parent / run):
        if folder.is_dir():
            yield _file(folder / "checkpoints" / name, "src_checkpoint")
            return
    raise DataError(
        f"src_checkpoint: there is no run '{run}' in {cwd} or {run_folder.parent}",
        hint="name a run folder, as RUN:best.ckpt, or the path of a checkpoint",
    )


def _file(path: Path, parameter: str) -> Path:
    if not path.is_file():
        raise DataError(f"{parameter}: there is no checkpoint {path}", hint="name the file's place on this machine")
    return path.resolve()


def _provided(path: Path, parameter: str) -> Path:
    """The checkpoint that is `path`, or that a registered model which is a folder has."""
    if not path.is_dir():
        return _file(path, parameter)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    checkpoints = [file for file in files if file.suffix in _SUFFIXES]
    chosen = [file for file in checkpoints if file.name == BEST] or checkpoints or files
    if len(chosen) != 1:
        names = ", ".join(str(file.relative_to(path)) for file in chosen[:5])
        raise DataError(
            f"{parameter}: what it names has {len(chosen)} checkpoints{': ' if names else ''}{names}",
            hint="name a model that is one file, or a folder with one checkpoint or a best.ckpt",
        )
    return chosen[0].resolve()


def _check_digest(file: Path, url: str) -> None:
    """Raises DataError where the URL ends in `#sha256=...` and the file, which is removed, has another one."""
    wanted = urlsplit(url).fragment
    if not wanted:
        return
    if not re.fullmatch(r"sha256=[0-9a-fA-F]{64}", wanted):
        raise DataError(f"{url} ends in '#{wanted}'", hint="write #sha256= and 64 hexadecimal digits, or leave it out")
    with file.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found != wanted.partition("=")[2].lower():
        file.unlink()
        raise DataError(f"the weights from {url} have the sha256 {found}", hint="check where they come from")


def _download(url: str, folder: Path) -> Path:
    target = folder / (Path(unquote(urlsplit(url).path)).name or "weights.ckpt")
    if target.exists():
        _check_digest(target, url)
        return target
    folder.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.part")
    log.info("downloading %s", url)
    try:
        with urlopen(url, timeout=_TIMEOUT_SECONDS) as response, partial.open("wb") as file:
            shutil.copyfileobj(response, file, 1 << 20)
            expected = response.headers.get("Content-Length")
        if expected is not None and partial.stat().st_size != int(expected):
            raise URLError(f"it ended after {partial.stat().st_size} of {expected} bytes")
    except (OSError, ValueError) as error:
        raise DataError(
            f"weights can't be downloaded from {url}: {getattr(error, 'reason', error)}",
            hint="download them yourself and give local_weights_path",
        ) from error
    _check_digest(partial, url)
    partial.replace(target)
    return target
