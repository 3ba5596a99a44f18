"""outputs.json: every file of a run folder with its size and sha256, written last, so that its presence means
complete.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from innereye_runtime.data.tree import digests, walk
from innereye_runtime.errors import OutputError

NAME = "outputs.json"


def check_expected(root: Path, expect: Sequence[str]) -> None:
    """Returns where each of the globs in `expect` matches a file below `root` that is not empty.

    Raises:
        OutputError: one doesn't; all of them are named.
    """
    problems = []
    for pattern in expect:
        matches = [path for path in root.glob(pattern) if path.is_file()]
        if not matches:
            problems.append(f"nothing matches '{pattern}'")
        elif not any(path.stat().st_size for path in matches):
            problems.append(f"what matches '{pattern}' is empty")
    if problems:
        raise OutputError(
            f"outputs.expect: {'; '.join(problems)}", hint=f"the run folder is {root}; paths are relative to it"
        )


def write_outputs(root: Path) -> None:
    """Writes outputs.json, atomically.

    Raises:
        OutputError: a file can't be read, or outputs.json can't be written.
    """
    temporary = root / f".{NAME}.tmp"
    try:
        entries = sorted(entry for entry in walk(root) if entry.path not in (NAME.encode(), temporary.name.encode()))
        files = [
            {"path": os.fsdecode(entry.path), "size": entry.size, "sha256": digest}
            for entry, digest in digests(root, entries)
        ]
        with temporary.open("w", encoding="utf-8", errors="surrogateescape") as file:
            json.dump({"schema": 1, "files": files}, file, indent=1)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(root / NAME)
    except OSError as error:
        raise OutputError(
            f"the outputs in {root} can't be verified: {error}", hint="free some space or mend permissions, then resume"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def verify(root: Path) -> tuple[str, ...]:
    """What differs between a run folder and its outputs.json, a sentence each; empty where nothing does.

    Raises:
        OutputError: there is no outputs.json, or it can't be read.
    """
    listed = _read(root)
    entries = {os.fsdecode(entry.path): entry for entry in walk(root) if entry.path != NAME.encode()}
    problems = [f"{path} is missing" for path in listed if path not in entries]
    problems += [f"{path} is not in outputs.json" for path in entries if path not in listed]
    same_size = []
    for path, file in listed.items():
        if path in entries and entries[path].size != file["size"]:
            problems.append(f"{path} has {entries[path].size} bytes, not {file['size']}")
        elif path in entries:
            same_size.append(entries[path])
    for entry, digest in digests(root, same_size):
        path = os.fsdecode(entry.path)
        if digest != listed[path]["sha256"]:
            problems.append(f"{path} has another content")
    return tuple(sorted(problems))


def _read(root: Path) -> dict[str, dict[str, Any]]:
    try:
        content = json.loads((root / NAME).read_text(encoding="utf-8"))
        return {file["path"]: file for file in content["files"]}
    except FileNotFoundError:
        raise OutputError(
            f"{root} has no outputs.json: the run is not complete", hint="go on with it: innereye-run resume"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise OutputError(f"{root / NAME} can't be read: {error}", hint="the file is damaged") from error
