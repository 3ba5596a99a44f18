"""A whole run whose folder is local and whose output can only be written a file at a time: killed, it is resumed on
another machine from what is in the output, and ends with the weights of one that was not.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.projects import MANIFEST, Project, tiny_project

from innereye_runtime.run.staged_restore import restore
from innereye_runtime.run.staged_store import OutputStore

PROGRAM = """
import os, sys
store = os.path.realpath(sys.argv.pop(1))

def refuse(event, arguments):
    if event not in ("open", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate"):
        return
    if not any(isinstance(each, (str, os.PathLike)) and os.fspath(each).startswith(store) for each in arguments):
        return
    if event == "os.remove":
        raise PermissionError(1, "the store deletes nothing")
    if event != "open" or (isinstance(arguments[2], int) and arguments[2] & (os.O_APPEND | os.O_EXCL | os.O_RDWR)):
        print("the store has no", event, arguments, file=sys.stderr, flush=True)
        os._exit(99)

sys.addaudithook(refuse)
from innereye_runtime.entrypoint import main
sys.exit(main())
"""


@pytest.fixture
def project(tmp_path: Path, needs: object) -> Project:
    return tiny_project(tmp_path / "project", MANIFEST)


def start(project: Project, store: Path, local: Path, *words: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", PROGRAM, str(store), f"--run-folder={local}", f"--stage-to={store}", "tiny.yaml"]
    with (store.parent / "printed").open("ab") as printed:
        return subprocess.Popen([*command, *words], cwd=project.root, stdout=printed, stderr=printed)


def epochs_in(store: Path) -> int:
    """The complete epochs of the metrics that count."""
    for index in OutputStore(store).indexes()[:1]:
        if "checkpoints/last.ckpt" in index.files and (csv := index.files.get("metrics.csv")):
            text = (store / csv.place("metrics.csv")).read_text()
            return len(text.splitlines()) - 1
    return 0


def test_a_killed_run_is_resumed_elsewhere_from_its_output(project: Project, tmp_path: Path) -> None:
    store, words = tmp_path / "store", ("--num_epochs=6", "--pause=0.1")
    store.mkdir()
    run = start(project, store, tmp_path / "node1" / "run", *words)
    deadline = time.monotonic() + 90
    while epochs_in(store) < 2:
        assert run.poll() is None, (tmp_path / "printed").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    run.send_signal(signal.SIGKILL)
    run.wait()
    assert not (store / "outputs.json").exists()

    again = start(project, store, tmp_path / "node2" / "run", *words)
    assert again.wait(120) == 0, (tmp_path / "printed").read_text()
    record = json.loads((store / "run.json").read_text())
    assert [attempt["state"] for attempt in record["attempts"]] == ["stopped", "completed"]
    assert record["attempts"][1]["resumed_from"]
    for entry in json.loads((store / "outputs.json").read_text())["files"]:
        assert (store / entry["path"]).stat().st_size == entry["size"]
    restored = tmp_path / "restored"
    assert restore(restored, OutputStore(store)).notes == ()
    whole = project.run("tiny.yaml", *words)
    assert whole.exit_code == 0, whole.stderr
    weights = record["checkpoints"]["last"]["weights_sha256"]
    assert weights == whole.record["checkpoints"]["last"]["weights_sha256"]


def test_an_output_that_cant_be_written_ends_the_run_with_6(project: Project, tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.write_text("a file")
    run = start(project, store, tmp_path / "node" / "run", "--num_epochs=1")
    assert run.wait(90) == 6
    printed = (tmp_path / "printed").read_text()
    assert f"error: the output {store} can't be read: [Errno 20] Not a directory" in printed
    assert "Traceback" not in printed
