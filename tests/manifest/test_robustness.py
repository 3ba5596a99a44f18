"""Whatever the bytes: an answer, no traceback, and never more than a second. Seeded; in CI the whole of 50,000 inputs,
and as many as INNEREYE_FUZZ says where it is set: the night's figure is a million.

The bound is on the processor time of this process, so that a busy machine does not fail it.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from innereye_runtime.diagnostics.rendering import render
from innereye_runtime.manifest.loading import Loaded, parse

GOLDEN = Path(__file__).parent / "golden"
SEEDS = [path.read_bytes() for path in sorted(GOLDEN.glob("*/*.yaml")) if path.stat().st_size < 20_000]
WORDS = [
    *(
        b"schema: 1\n",
        b"container:",
        b"class: A\n",
        b"compute: ",
        b"target: azureml",
        b"datasets:",
        b"- ",
        b"? ",
        b": ",
    ),
    *(b"{", b"}", b"[", b"]", b",", b"'", b'"', b"|", b">", b"&a ", b"*a", b"!", b"!!str ", b"%", b"@", b"`", b"#"),
    *(b"---\n", b"...\n", b"<<: ", b"<<<<<<< a\n", b"\t", b"\n", b"\n  ", b"\n    ", b"\r", b"\xef\xbb\xbf", b"\xff"),
    *(
        b"1e-3",
        b".nan",
        b"1e999",
        b"0x",
        b"on",
        b"~",
        b"2024-01-01",
        b"1_0",
        b"\\u",
        b'"\\ud800"',
        b"\x00",
        b"\xe2\x80\xa8",
    ),
]
COUNT = int(os.environ.get("INNEREYE_FUZZ") or (50_000 if os.environ.get("CI") == "true" else 2_500))
BOUND = 1.0


def random_bytes(rng: random.Random) -> bytes:
    return rng.randbytes(rng.randrange(1, 200))


def words(rng: random.Random) -> bytes:
    return b"".join(rng.choice(WORDS) for _ in range(rng.randrange(1, 40)))


def mutated(rng: random.Random) -> bytes:
    """A golden manifest in which a few places are cut, doubled, swapped or overwritten."""
    data = bytearray(rng.choice(SEEDS))
    for _ in range(rng.randrange(1, 5)):
        start = rng.randrange(len(data) + 1)
        end = min(len(data), start + rng.randrange(0, 12))
        match rng.randrange(4):
            case 0:
                del data[start:end]
            case 1:
                data[start:start] = data[start:end]
            case 2:
                data[start:end] = rng.choice(WORDS)
            case 3:
                data[start:end] = rng.randbytes(end - start)
    return bytes(data)


def checked(data: bytes) -> Loaded:
    started = time.process_time()
    loaded = parse(data, path=Path("/project/m.yaml"), source="m.yaml")
    parsed = time.process_time() - started
    for format in ("text", "json", "github", "sarif"):
        started = time.process_time()
        render(loaded.diagnostics, format).encode()
        assert parsed + time.process_time() - started < BOUND, data[:300]  # a command parses once, and renders once
    errors = [diagnostic for diagnostic in loaded.diagnostics if diagnostic.severity == "error"]
    assert (loaded.manifest is None) == bool(errors), data
    assert all(d.span.line >= 1 and d.span.column >= 1 and d.hint for d in loaded.diagnostics), data
    return loaded


@pytest.mark.parametrize("make", [random_bytes, words, mutated], ids=lambda make: make.__name__)
def test_any_bytes_get_an_answer(make: object) -> None:
    rng = random.Random(f"manifest {make.__name__}")  # type: ignore[attr-defined]
    for _ in range(COUNT // 3 + 1):
        checked(make(rng))  # type: ignore[operator]


def hostile() -> Iterator[tuple[str, str]]:
    """Inputs up to the size limit that cost a careless reader most."""
    size = 256 * 1024
    head = "schema: 1\ncontainer: {class: A}\n"
    yield "brackets", "[" * size
    yield "braces", "{" * size
    yield "empty lists", "[" + "[]," * (size // 3 - 1)
    yield "dashes", "- " * (size // 2)
    yield "questions", "? " * (size // 2)
    yield "one long word", "a" * size
    yield "many words", "a " * (size // 2)
    yield "lines of a text", "a\n" * 19_000
    yield "blank lines", "a" + "\n" * 19_000 + "a"
    yield "quoted lines", 'a: "' + "x\n" * 19_000
    yield "deep blocks", "".join(" " * n + "a:\n" for n in range(700))
    yield "one key many times", "a: 1\n" * 19_000
    yield "many unknown keys", head + "".join(f"key{n}: 1\n" for n in range(9_000))
    yield "many keys that are no text", head + "".join(f"{n}: 1\n" for n in range(9_000))
    yield "many wrong values", head + "environment: {" + ", ".join(f"a{n}: 1" for n in range(9_000)) + "}"
    yield "many secrets", head + "secrets: [" + ", ".join(f"a{n}" for n in range(15_000)) + ", 7]"
    yield "many equal secrets", head + "secrets: [" + "a," * 15_000 + "]"
    yield "many datasets", head + "datasets: [" + "{local: a, strict: 1}," * 3_000 + "]"
    yield "many globs", head + "outputs: {expect: [" + "../a," * 15_000 + "]}"
    yield "spaces in a size", head + "compute: {shm_size: 1" + " " * 250_000 + "x}"
    yield "digits in a size", head + "compute: {max_duration: '" + "1h" * 100_000 + "x'}"
    yield "dots in a class", "schema: 1\ncontainer: {class: " + "a." * 100_000 + "}"
    yield "digits", head + "name: " + "1" * 250_000
    yield (
        "aliases of aliases",
        "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 60)),
    )
    yield "many aliases", "a: &a [1, 2]\nb: [" + "*a, " * 30_000 + "]"
    yield "many tags", "a: [" + "!t 1, " * 15_000 + "]"
    yield "escapes", 'a: "' + "\\x07" * 60_000 + '"'
    yield "surrogates", 'a: ["' + '\\ud800", "' * 10_000 + '"]'
    yield "conflicts", "<<<<<<< a\n" * 19_000
    yield "tabs", "a:\n" + "\tb: 1\n" * 19_000
    yield "control characters", "a: \x01\n" * 19_000
    yield "wide characters", "名: 前\n" * 19_000
    yield "a long line before a problem", head + "x: [" + "ü, " * 9_000 + "], " * 5
    yield "nested lists", "a: " + ("[" * 60 + "]" * 60 + ", ") * 10


@pytest.mark.parametrize(("name", "text"), list(hostile()), ids=[name for name, _ in hostile()])
def test_hostile_text_gets_an_answer_in_bounded_time(name: str, text: str) -> None:
    assert checked(text.encode()).manifest is None


def test_no_more_is_told_than_a_person_reads() -> None:
    found = checked(b"a: 1\n" * 5_000).diagnostics
    assert len(found) == 101
    assert found[-1].code == "N001"
