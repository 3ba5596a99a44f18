from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.data.counted import Counted, get_or_fetch

from innereye_runtime.data.cache.cache import Cache
from innereye_runtime.data.cache.journal import Journal
from innereye_runtime.data.fingerprint.fingerprint import fingerprint
from innereye_runtime.data.sources.source import SourceChangedError, snapshot_id

STAGE = """
import sys
from pathlib import Path
from innereye_runtime.data.cache.cache import Cache
from innereye_runtime.data.progress import Quiet
from innereye_runtime.data.sources.source import FolderSource
source = FolderSource(Path(sys.argv[1]))
Cache().get_or_fetch(source, source.list(), Quiet())
"""


@pytest.fixture
def source(tmp_path: Path) -> Counted:
    """A folder of 1,200 small files, with hostile names among them, an empty one and a large one."""
    root = tmp_path / "many"
    for number in range(1195):
        place = root / f"{number % 7}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number}.bin").write_bytes(os.urandom(number % 3000))
    for name in ("new\nline", "\udcff", "é", "x" * 255, "empty"):
        (root / name).write_bytes(b"" if name == "empty" else os.fsencode(name))
    (root / "large").write_bytes(os.urandom(3 << 20))
    return Counted(root)


def test_a_folder_of_many_files_is_copied_whole(source: Counted) -> None:
    copy = get_or_fetch(source)
    assert copy.fingerprint == fingerprint(source.root) == fingerprint(copy.path)
    assert {path.stat().st_mode & 0o777 for path in copy.path.rglob("*") if path.is_file()} == {0o444}


def test_a_file_that_changes_between_list_and_copy_is_told(source: Counted) -> None:
    items = source.list()
    changed = source.root / "3" / "3.bin"
    changed.write_bytes(b"new")
    with pytest.raises(SourceChangedError, match=r"3/3\.bin"):
        get_or_fetch(source, items)
    assert not list(Cache().root.rglob("complete.json"))


def test_a_torn_file_of_an_earlier_try_is_replaced(source: Counted) -> None:
    part = Cache().root / snapshot_id(source, source.list()) / "part"
    (part / "3").mkdir(parents=True)
    journal = Journal.open(part.with_name("journal"))
    journal.add([("another", 0, bytes(32))])
    journal.close()
    (part / "3" / "3.bin").write_bytes(b"eno")
    found = get_or_fetch(source)
    assert found.fingerprint == fingerprint(found.path)
    assert "3/3.bin" in source.reads


@pytest.mark.parametrize("moment", [0.0, 0.02, 0.05, 0.1, 0.2])
def test_killed_at_any_moment_it_is_whole_the_next_time(source: Counted, moment: float) -> None:
    def there() -> int:
        return sum(len(files) for _, _, files in os.walk(Cache().root))

    process = subprocess.Popen([sys.executable, "-c", STAGE, str(source.root)])
    wait_for(lambda: there() > 3 or process.poll() is not None)
    time.sleep(moment)
    process.kill()
    process.wait()
    found = get_or_fetch(source)
    assert found.fingerprint == fingerprint(source.root) == fingerprint(found.path)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)
