"""One trial: a dataset, a seed that says what goes wrong, and what must hold whatever did."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from tests.data.faults import fetch
from tests.data.faults.proxy import FAULTS, Fault, Proxy
from tests.data.store import Azurite, Container

from innereye_runtime.data.sources.blobs import RetryPolicy
from innereye_runtime.data.staging import release
from innereye_runtime.errors import InnerEyeError

BOUND = 60.0
"""Seconds in which a trial has to end. The patience of `fetch` ends each request within 4, and they run side by side.
"""
LISTS = "comp=list"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def a_dataset(dice: random.Random) -> dict[str, bytes]:
    sizes = [0, 1, 5_000, fetch.BLOCK, fetch.BLOCK + 1, 5 * fetch.BLOCK // 2, dice.randrange(200_000)]
    names = ["a/empty", "a/one", "b/c/small", "b/block", "b/block and one", "large", "z"]
    return {name: dice.randbytes(size) for name, size in zip(names, sizes, strict=True)}


def run_trial(
    seed: int, store: Azurite, container: Container, cache: Path, set_environment: Callable[[str], None]
) -> str:
    """What the trial of `seed` came to: `whole`, or the message of the error. Raises AssertionError where it must not
    be.
    """
    dice = random.Random(seed)
    folder = f"seed{seed}"
    old = a_dataset(dice)
    new = {**old, "large": dice.randbytes(len(old["large"])), "z": b"changed"}
    container.put({f"{folder}/{name}": content for name, content in old.items()})
    faults = dice.sample(FAULTS, dice.randint(1, 3))
    rate = dice.choice([0.0, 0.05, 0.2, 0.5, 1.0])
    kind = dice.choices(["one", "changed", "two", "killed"], [60, 20, 10, 10])[0]
    changed_at = dice.randint(2, 10) if kind == "changed" else 0
    killed_at = dice.randint(2, 10)
    process: subprocess.Popen[str] | None = None

    def plan(number: int, path: str) -> Fault | None:
        if number == changed_at:
            container.put({f"{folder}/{name}": content for name, content in new.items()})
        if kind == "killed" and number == killed_at and process is not None:
            process.send_signal(signal.SIGKILL)
        return dice.choice(faults) if dice.random() < rate else None

    url = container.url(folder)
    proxy = Proxy(store.port, plan)
    try:
        endpoint = f"http://127.0.0.1:{proxy.port}/tests"
        set_environment(endpoint)
        if kind in ("two", "killed"):
            started = [start(url, cache) for _ in range(2 if kind == "two" else 1)]
            process = started[0]
            ended = [(one.communicate(timeout=BOUND)[0].strip(), one.returncode) for one in started]
        else:
            ended = [in_a_thread(url)]
    finally:
        proxy.stop()
    results = [judged(said, code, old, new if kind == "changed" else old, store, kind) for said, code in ended]
    set_environment(store.endpoint)
    said, code = in_a_thread(url, RetryPolicy())  # a busy machine's store may be silent for long
    assert code == 0, f"with nothing wrong any more: {said}"
    assert contents(Path(said)) == (new if kind == "changed" and proxy.count >= changed_at else old)
    return results[0]


def judged(said: str, code: int, old: dict[str, bytes], new: dict[str, bytes], store: Azurite, kind: str) -> str:
    if kind == "killed" and code == -signal.SIGKILL:
        return "killed"
    assert store.key not in said
    assert "sig=" not in said
    if code == 0:
        assert contents(Path(said)) in (old, new), "a dataset was accepted that is not the source's"
        return "whole"
    assert code in (3, 5), f"exit code {code}: {said}"
    assert len(said) > 20, "no message"
    assert "Traceback" not in said
    return said


def start(url: str, cache: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, fetch.__file__, url],
        env=dict(os.environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def in_a_thread(url: str, patience: RetryPolicy = fetch.PATIENCE) -> tuple[str, int]:
    """What `fetch` prints and exits with, in this process; fails where it does not end within the bound."""
    ended: list[tuple[str, int]] = []

    def run() -> None:
        try:
            ended.append((str(fetch.fetch(url, patience).path), 0))
        except InnerEyeError as error:
            ended.append((str(error), int(error.exit_code)))
        except BaseException as error:  # whatever else it is, it is wrong
            ended.append((f"Traceback: {error!r}", 1))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(BOUND)
    assert ended, f"it did not end within {BOUND:.0f} s"
    release()
    return ended[0]
