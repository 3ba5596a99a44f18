"""How fast data comes in, beside the tools that people would use instead, and how much memory that takes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks import transfers
from tests.benchmarks.pairs import Row, paired
from tests.data.store import Azurite

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 10


def fetch_small() -> list[Row]:
    files = {f"small/{number:04}.bin": os.urandom(32 << 10) for number in range(2000)}
    with stored(files) as (url, environment):
        return rows(
            "2,000 blobs of 32 KiB",
            "azure-storage-blob",
            "<= 0.56",
            "fetch_ours",
            "fetch_azure",
            f"{url}/small",
            environment,
        )


def fetch_large() -> list[Row]:
    with stored({"large/large.bin": os.urandom(1 << 20) * 500}) as (url, environment):
        return rows(
            "1 blob of 500 MiB",
            "azure-storage-blob",
            "<= 1.00",
            "fetch_ours",
            "fetch_azure",
            f"{url}/large",
            environment,
        )


def fingerprint() -> list[Row]:
    with folder_of(100_000, 0) as folder:
        what = "fingerprint of 100,000 files, again"
        return rows(what, "`find -printf`", "<= 3.00", "look_ours", "look_find", str(folder), {})


def rows(
    what: str, other: str, target: str, ours: str, theirs: str, argument: str, environment: dict[str, str]
) -> list[Row]:
    """The row of seconds, and that of our peak memory beside its bound."""
    megabytes: list[float] = []

    def measure(name: str, memory: list[float] | None) -> Callable[[], float]:
        def one() -> float:
            with tempfile.TemporaryDirectory() as place:
                command = [sys.executable, transfers.__file__, name, argument, place]
                told = subprocess.run(
                    command, env={**os.environ, **environment}, cwd=ROOT, check=True, stdout=subprocess.PIPE
                )
            found = json.loads(told.stdout)
            if memory is not None:
                memory.append(found["megabytes"])
            return float(found["seconds"])

        return one

    seconds = paired(measure(ours, megabytes), measure(theirs, None), rounds=ROUNDS)
    bound: Sequence[float] = [200.0] * ROUNDS
    return [
        Row(what=what, other=other, unit="s", ours=seconds[0], theirs=seconds[1], target=target),
        Row(what=f"{what}: memory", other="bound", unit="MB", ours=megabytes[1:], theirs=bound, target="<= 1.00"),
    ]


@contextmanager
def stored(files: dict[str, bytes]) -> Iterator[tuple[str, dict[str, str]]]:
    """A real blob store with these files: the URL of their container, and what gives access to it."""
    with tempfile.TemporaryDirectory() as place:
        store = Azurite(Path(place), in_memory=False)
        try:
            container = store.create("benchmark")
            container.put(files)
            yield container.url(), store.environment()
        finally:
            store.stop()


@contextmanager
def folder_of(count: int, size: int) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp())
    try:
        for number in range(count):
            place = folder / f"{number // 500:03}"
            place.mkdir(exist_ok=True)
            (place / f"{number:06}.bin").write_bytes(os.urandom(size))
        yield folder
    finally:
        shutil.rmtree(folder)
