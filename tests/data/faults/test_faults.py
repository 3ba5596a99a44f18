"""Faults between us and the store. `INNEREYE_FAULT_TRIALS=1000` runs so many seeded trials; the 48 that always run
have every fault and every kind of trial among them.

Whatever goes wrong: never a dataset that differs from the source, never a part taken for the whole, an end within a
bound, and a message.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.data.faults import fetch
from tests.data.faults.proxy import FAULTS, Fault, Proxy
from tests.data.faults.trials import LISTS, contents, in_a_thread, run_trial
from tests.data.store import Azurite, Container

from innereye_runtime.data.cache import download
from innereye_runtime.data.fingerprint import fingerprint, hashing
from innereye_runtime.data.sources import blobs

FILES = {"a/one": b"one" * 1000, "b": bytes(fetch.BLOCK) + b"end", "c": b""}
TRIALS = int(os.environ.get("INNEREYE_FAULT_TRIALS", "48"))


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (download, fingerprint, hashing):
        monkeypatch.setattr(module, "BLOCK", fetch.BLOCK)
    monkeypatch.setattr(blobs, "_PAGE", 4)


@pytest.fixture
def set_environment(azurite: Azurite, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def to(endpoint: str) -> None:
        for name, value in azurite.environment(endpoint).items():
            monkeypatch.setenv(name, value)

    return to


@pytest.fixture
def through(azurite: Azurite, set_environment: Callable[[str], None]) -> Iterator[Callable[..., Proxy]]:
    """A function that puts a proxy with a plan between us and the store."""
    proxies: list[Proxy] = []

    def put(plan: Callable[[int, str], Fault | None]) -> Proxy:
        proxies.append(Proxy(azurite.port, plan))
        set_environment(f"http://127.0.0.1:{proxies[-1].port}/tests")
        return proxies[-1]

    yield put
    for proxy in proxies:
        proxy.stop()


PASSING = [fault for fault in FAULTS if fault not in ("403", "404")]


@pytest.mark.parametrize("fault", PASSING)
@pytest.mark.parametrize("where", ["the listing", "a read"])
def test_what_passes_is_tried_again(
    container: Container, through: Callable[..., Proxy], fault: Fault, where: str
) -> None:
    container.put(FILES)
    hit: list[str] = []

    def once(number: int, path: str) -> Fault | None:
        if hit or (LISTS in path) != (where == "the listing"):
            return None
        hit.append(path)
        return fault

    through(once)
    said, code = in_a_thread(container.url())
    assert code == 0, said
    assert hit
    assert contents(Path(said)) == FILES


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("reset", "can't be read, after 4 tries"),
        ("stall", "can't be read, after"),
        ("truncate", "can't be read, after 4 tries"),
        ("lie", "3,000 of 6,000 bytes were received"),
        ("403", "the store refuses an account key: 403 Forbidden (Fault403)"),
        ("404", "changed 3 times while it was fetched"),
        ("429", "can't be read, after 4 tries in 0 s: 429 Too Many Requests (Fault429)"),
        ("500", "can't be read, after 4 tries in 0 s: 500 Internal Server Error (Fault500)"),
        ("refuse", "can't be read, after 4 tries"),
    ],
)
def test_what_does_not_pass_is_an_error_that_says_it(
    container: Container, through: Callable[..., Proxy], fault: Fault, says: str
) -> None:
    container.put({"a/one": b"one" * 2000})
    through(lambda number, path: None if LISTS in path else fault)
    said, code = in_a_thread(container.url())
    assert code == 5
    assert says in said


def test_a_slow_store_is_no_fault(container: Container, through: Callable[..., Proxy]) -> None:
    container.put(FILES)
    through(lambda number, path: "slow")
    said, code = in_a_thread(container.url())
    assert code == 0, said
    assert contents(Path(said)) == FILES


def test_an_answer_that_drips_for_ever_is_an_error(container: Container, through: Callable[..., Proxy]) -> None:
    container.put({"a/one": b"one" * 2000})
    through(lambda number, path: None if LISTS in path else "drip")
    said, code = in_a_thread(container.url(), replace(fetch.PATIENCE, longest=0.5))
    assert code == 5
    assert "can't be read, after" in said


def test_a_dataset_that_changes_once_is_fetched_as_it_is_then(
    container: Container, through: Callable[..., Proxy]
) -> None:
    container.put(FILES)
    reads: list[int] = []

    def change(number: int, path: str) -> Fault | None:
        if LISTS not in path:
            if not reads:
                container.put({"a/one": b"new"})
                container.delete("b")
            reads.append(number)
        return None

    through(change)
    said, code = in_a_thread(container.url())
    assert code == 0, said
    assert contents(Path(said)) == {"a/one": b"new", "c": b""}


def test_a_dataset_that_keeps_changing_is_an_error(container: Container, through: Callable[..., Proxy]) -> None:
    container.put(FILES)

    def change(number: int, path: str) -> Fault | None:
        if LISTS not in path:
            container.put({"a/one": b"%d" % number})
        return None

    through(change)
    said, code = in_a_thread(container.url())
    assert code == 5
    assert said == f"{container.url()} changed 3 times while it was fetched"


def test_after_a_failure_only_what_is_missing_is_fetched(container: Container, through: Callable[..., Proxy]) -> None:
    container.put({f"{number}": b"%d" % number for number in range(20)})
    through(lambda number, path: "403" if path.partition("?")[0].endswith("/19") else None)
    said, code = in_a_thread(container.url())
    assert code == 5
    asked: list[str] = []

    def count(number: int, path: str) -> Fault | None:
        if LISTS not in path:
            asked.append(path)
        return None

    through(count)
    said, code = in_a_thread(container.url())
    assert code == 0
    assert len(contents(Path(said))) == 20
    assert 1 <= len(asked) <= 8, "a batch at most is fetched again"


@pytest.mark.parametrize("seed", range(0, TRIALS, 8))
def test_seeded_trials(
    azurite: Azurite, container: Container, cache_home: Path, set_environment: Callable[[str], None], seed: int
) -> None:
    outcomes = Counter(
        run_trial(number, azurite, container, cache_home, set_environment).split(":")[0][:10]
        for number in range(seed, min(seed + 8, TRIALS))
    )
    print(dict(outcomes))
