from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.data.store import Container

from innereye_runtime.cli.main import main
from innereye_runtime.data.fingerprint.fingerprint import fingerprint
from innereye_runtime.data.staging import release

SMALL = {"scans/one.nii": b"one" * 1000, "scans/two.nii": b"two" * 1000, "empty.csv": b""}


@pytest.fixture
def say(capfd: pytest.CaptureFixture[str]) -> Any:
    """Runs `innereye-run data ...` and returns exit code, standard output and standard error."""

    def run(*words: str) -> tuple[int, str, str]:
        code = main(["data", *words])
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    return run


def test_the_fingerprint_of_a_folder_is_one_line(dataset: Path, say: Any) -> None:
    mark = fingerprint(dataset)
    assert say("fingerprint", str(dataset)) == (0, f"{mark.sha256}\n", "")
    code, out, _ = say("fingerprint", str(dataset), "--json")
    assert code == 0
    assert json.loads(out) == {"sha256": mark.sha256, "files": 3, "bytes": 6000}


def test_ls_shows_files_and_sizes(dataset: Path, say: Any) -> None:
    (dataset / "new\nline").touch()
    code, out, err = say("ls", str(dataset))
    assert code == 0
    assert out.splitlines() == [
        "      0 B  empty.csv",
        "      0 B  new\\nline",
        "     3 kB  scans/one.nii",
        "     3 kB  scans/two.nii",
    ]
    assert err == "4 files, 6 kB\n"
    assert json.loads(say("ls", str(dataset), "--json")[1])[2] == {"path": "scans/one.nii", "size": 3000}


def test_fetch_prints_the_folder_last(container: Container, dataset: Path, say: Any) -> None:
    container.put(SMALL)
    code, out, err = say("fetch", container.url())
    assert code == 0
    assert fingerprint(Path(out.strip())) == fingerprint(dataset)
    assert re.fullmatch(r"3 files, 6 kB: fetched in \d+\.\d s, \d+ MB/s\n", err)
    code, out, err = say("fetch", container.url(), "--json")
    assert err == "3 files, 6 kB: in the cache already\n"
    told = json.loads(out)
    assert told["sha256"] == fingerprint(dataset).sha256
    assert told["seconds"] == 0


def test_a_folder_of_this_machine_is_not_fetched(dataset: Path, say: Any) -> None:
    told = "3 files, 6 kB: the folder is on this machine, and is read where it is\n"
    assert say("fetch", str(dataset)) == (0, f"{dataset}\n", told)


def test_the_datastore_is_listed_by_name(container: Container, say: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    container.put({"data/brats/a": b"1", "data/hello/b": b"2"})
    monkeypatch.setenv("INNEREYE_DATASTORE", container.url("data"))
    assert say("ls") == (0, "brats\nhello\n", "")
    assert say("ls", "hello")[1] == "      1 B  b\n"


def test_the_cache_is_listed_and_cleared(container: Container, say: Any) -> None:
    assert say("cache", "ls")[:2] == (0, "")
    container.put(SMALL)
    say("fetch", container.url())
    code, out, err = say("cache", "ls")
    assert code == 0
    assert re.fullmatch(rf"  18\.3 kB  \d{{4}}-\d\d-\d\d \d\d:\d\d  {container.url()}\n", out)
    assert re.match(r"1 dataset, 18\.3 kB of \d", err)
    (entry,) = json.loads(say("cache", "ls", "--json")[1])
    assert entry["source"] == container.url()
    assert Path(entry["path"]).is_dir()
    assert say("cache", "clear")[1:] == ("", "0 deleted, 0 B; 1 in use and kept\n")
    release()
    assert say("cache", "clear")[2] == "1 deleted, 18.3 kB\n"
    assert not Path(entry["path"]).exists()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ((), 2, "missing ls|fetch|fingerprint|cache"),
        (("fetch",), 2, "data fetch: missing PATH|ID"),
        (("cache",), 2, "data cache: missing ls or clear"),
        (("cache", "empty"), 2, "'empty' is neither ls nor clear"),
        (("ls",), 2, "no datastore is named"),
        (("fingerprint", "nowhere"), 5, "error: there is no folder /"),
        (("fetch", "brats"), 5, "; or set INNEREYE_DATASTORE, if this is the name of a dataset"),
        (("fetch", "azure://x"), 5, "'azure://x' names no folder of blobs"),
    ],
)
def test_what_is_wrong_is_said(say: Any, words: tuple[str, ...], code: int, message: str) -> None:
    returned, out, err = say(*words)
    assert returned == code
    assert message in err
    assert "hint:" in err
    assert out == ""


def test_a_person_sees_a_bar_and_a_log_does_not(container: Container) -> None:
    container.put({**SMALL, "large": bytes(20 << 20)})
    parent, child = pty.openpty()
    program = "import sys; from innereye_runtime.cli.main import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "data", "fetch", container.url()]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=child, text=True, check=True)
    os.close(child)
    shown = b""
    try:
        while chunk := os.read(parent, 65536):
            shown += chunk
    except OSError:  # what Linux says at the end
        pass
    os.close(parent)
    assert b"fetching azure://" in shown
    assert Path(done.stdout.strip()).is_dir()
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert again.stderr == "4 files, 21 MB: in the cache already\n"
