"""`innereye-run data`: what a dataset is made of, fetched before a run needs it, and what the cache holds."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from innereye_runtime.cli.ui.parser import Parser
from innereye_runtime.cli.ui.terminal import eprint, log_to_stderr
from innereye_runtime.errors import DataError, ExitCode

if TYPE_CHECKING:
    from innereye_runtime.data.datasets import ResolvedDataset
    from innereye_runtime.data.progress import Progress
    from innereye_runtime.data.sources.blobs import BlobSource


class Arguments(argparse.Namespace):
    action: Literal["ls", "fetch", "fingerprint", "cache"]
    what: str | None
    json: bool


def parser() -> Parser:
    parser = Parser(
        "data",
        usage="ls [PATH|ID] | fetch ID | fingerprint PATH|ID | cache ls | cache clear [--json]",
        about="Lists the files of a dataset, fetches it into the cache of this machine, prints its fingerprint\n"
        "(the sha256 of a manifest's dataset), or manages the cache. An ID is azure://ACCOUNT/CONTAINER/PATH, or\n"
        "a name in the datastore that INNEREYE_DATASTORE names; `ls` alone lists the names there.",
        examples=[
            "innereye-run data fingerprint data/hello",
            "innereye-run data fetch azure://account/container/brats",
            "innereye-run data cache ls",
        ],
    )
    actions = ("ls", "fetch", "fingerprint", "cache")
    parser.add_argument("action", choices=actions, metavar="|".join(actions), help="what to do")
    parser.add_argument("what", nargs="?", metavar="PATH|ID", help="the dataset; for cache: ls or clear")
    parser.add_argument("--json", action="store_true", help="print one JSON value")
    return parser


def run(argv: Sequence[str]) -> int:
    options = parser()
    arguments, _ = options.read(argv, Arguments())
    if arguments.what is None and arguments.action != "ls":
        options.error(f"data {arguments.action}: missing {'ls or clear' if arguments.action == 'cache' else 'PATH|ID'}")
    what = arguments.what or ""
    match arguments.action:
        case "ls":
            _list(what, arguments.json)
        case "fetch":
            _fetch(what, arguments.json)
        case "fingerprint":
            _fingerprint(what, arguments.json)
        case "cache":
            if what not in ("ls", "clear"):
                options.error(f"data cache: '{what}' is neither ls nor clear")
            _cache(what, arguments.json)
    return ExitCode.DONE


def _list(what: str, as_json: bool) -> None:
    from innereye_runtime.data.sources.source import FolderSource
    from innereye_runtime.data.staging import datastore

    if not what:
        names = datastore().folders()
        print(json.dumps(names, indent=2) if as_json else "\n".join(names))
        return
    where = _located(what)
    source = FolderSource(where) if isinstance(where, Path) else where
    items = source.list()
    if as_json:
        print(json.dumps([{"path": item.name, "size": item.size} for item in items], indent=2))
        return
    from innereye_runtime.data.fingerprint.tree import display_path
    from innereye_runtime.data.progress import format_size

    for item in items:
        print(f"{format_size(item.size):>9}  {display_path(Path(item.name), '')}")
    eprint(f"{len(items):,} files, {format_size(sum(item.size for item in items))}")


def _fetch(what: str, as_json: bool) -> None:
    from innereye_runtime.data.datasets import resolve_source

    where = _located(what)
    with _progress() as progress:
        found = resolve_source(what, where, "download", progress=progress)
    _print(found.describe(), str(found.path), as_json)
    eprint(_describe_result(found))


def _describe_result(found: ResolvedDataset) -> str:
    from innereye_runtime.data.progress import format_size

    size = found.fingerprint.bytes
    shown = f"{found.fingerprint.files:,} files, {format_size(size)}"
    if found.mode != "download":
        return f"{shown}: {found.reason}"
    if not found.seconds:
        return f"{shown}: in the cache already"
    return f"{shown}: fetched in {found.seconds:.1f} s, {size / 1e6 / found.seconds:.0f} MB/s"


def _fingerprint(what: str, as_json: bool) -> None:
    from innereye_runtime.data.datasets import resolve_source

    with _progress() as progress:
        found = resolve_source(what, _located(what), "auto", progress=progress)
    mark = found.fingerprint
    _print({"sha256": mark.sha256, "files": mark.files, "bytes": mark.bytes}, mark.sha256, as_json)


def _cache(what: str, as_json: bool) -> None:
    from innereye_runtime.data.cache.cache import Cache
    from innereye_runtime.data.progress import format_size

    cache = Cache()
    entries = cache.entries() if what == "ls" else cache.clear()
    if as_json:
        print(json.dumps([entry.describe() for entry in entries], indent=2))
        return
    for entry in entries:
        used = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.used))
        state = "" if entry.fingerprint else " (not whole)"
        print(f"{format_size(entry.size):>9}  {used}  {entry.source}{state}")
    total = format_size(sum(entry.size for entry in entries))
    if what == "ls":
        word = "dataset" if len(entries) == 1 else "datasets"
        eprint(f"{len(entries)} {word}, {total} of {format_size(cache.limit)} in {cache.root}")
    else:
        kept = len(cache.entries())
        eprint(f"{len(entries)} deleted, {total}" + (f"; {kept} in use and kept" if kept else ""))


def _located(what: str) -> Path | BlobSource:
    from innereye_runtime.data.paths import require_readable_dir
    from innereye_runtime.data.staging import source_of

    if not Path(what).is_dir() and (source := source_of(what)) is not None:
        return source
    try:
        return require_readable_dir(Path(what), "")
    except DataError as error:
        if "/" not in what:
            error.hint += "; or set INNEREYE_DATASTORE, if this is the name of a dataset in a datastore"
        raise


def _print(values: dict[str, Any], text: str, as_json: bool) -> None:
    print(json.dumps(values, indent=2) if as_json else text)


@contextmanager
def _progress() -> Iterator[Progress]:
    """A bar where a person looks, else lines; both on standard error."""
    with log_to_stderr():
        if sys.stderr.isatty():
            from innereye_runtime.cli.ui.progress_bar import ProgressBar

            with ProgressBar() as bar:
                yield bar
        else:
            from innereye_runtime.data.progress import LogProgress

            yield LogProgress()
