"""The parts of the Docker target that need no engine: errors, ends, output, processes, the launch file."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from innereye_runtime.errors import DataError, ImageError, InnerEyeError, PreflightError
from innereye_runtime.job.launch_context import LaunchContext
from innereye_runtime.job.provenance import Code
from innereye_runtime.manifest.units import Memory
from innereye_runtime.run.paths import RunPaths
from innereye_runtime.run.process_id import current_process, is_alive
from innereye_runtime.run.record import RunRecord
from innereye_runtime.targets.docker import log_stream
from innereye_runtime.targets.docker.client import RefusedError
from innereye_runtime.targets.docker.engine import to_image_error
from innereye_runtime.targets.docker.exit_status import ExitStatus, exit_status_of, finalize_run_record
from innereye_runtime.targets.docker.image import _pinned, plan_build
from innereye_runtime.targets.docker.log_stream import LogStreamer
from innereye_runtime.targets.docker.request import HostUser

ROOT = Path(__file__).resolve().parents[3]
LIMITS = {"memory": Memory.parse("2g"), "shared_memory": Memory.parse("64m")}


FOREIGN = [
    RefusedError(404, "No such container: x"),
    RefusedError(409, "Conflict"),
    RefusedError(500, "something"),
    FileNotFoundError("the socket"),
    ConnectionRefusedError("nobody listens"),
    PermissionError("the socket"),
    TimeoutError("no answer"),
    ConnectionError("no engine"),
]


@pytest.mark.parametrize("foreign", FOREIGN, ids=repr)
def test_every_error_of_the_client_becomes_our_own(foreign: Exception) -> None:
    own = to_image_error(foreign, image="innereye-runtime:gpu")
    assert isinstance(own, InnerEyeError)
    assert own.hint


@pytest.mark.parametrize(
    ("said", "kind", "told"),
    [
        ('could not select device driver "" with capabilities: [[gpu]]', PreflightError, "no NVIDIA runtime"),
        ('invalid mount config for type "bind": bind source path does not exist: /data/x', DataError, "/data/x is not"),
        ("write /var/lib/docker/x: no space left on device", PreflightError, "disk full"),
        ("No such image: innereye-runtime:gpu", ImageError, "no image innereye-runtime:gpu"),
        ('OCI runtime create failed: exec: "x": executable file not found in $PATH', ImageError, "no innereye-runtime"),
        ("Minimum memory limit allowed is 6MB", PreflightError, "refuses the limits"),
    ],
)
def test_what_the_engine_says_is_told_with_a_remedy(said: str, kind: type[InnerEyeError], told: str) -> None:
    own = to_image_error(RefusedError(500, said), image="innereye-runtime:gpu")
    assert type(own) is kind
    assert told in str(own)
    assert own.hint


@pytest.mark.parametrize(
    ("state", "stopped_by", "code", "told"),
    [
        ({"ExitCode": 0}, None, 0, ""),
        ({"ExitCode": 42}, None, 42, ""),
        ({"ExitCode": 137, "OOMKilled": True}, None, 137, "out of memory: the job needed more than its 2g"),
        ({"ExitCode": 137, "OOMKilled": False}, None, 137, "killed from outside"),
        ({"ExitCode": 135}, None, 135, "out of shared memory: the job needed more than its 64m"),
        ({"ExitCode": 139}, None, 139, "SIGSEGV"),
        ({"ExitCode": 255}, None, 255, "signal 127"),
        ({"ExitCode": 137}, signal.SIGINT, 130, "did not end in time after SIGINT"),
        ({"ExitCode": 143}, signal.SIGTERM, 143, "with nothing to save"),
        ({"ExitCode": 0}, signal.SIGTERM, 0, ""),
    ],
)
def test_an_end_has_a_code_and_a_reason(state: dict[str, object], stopped_by: int | None, code: int, told: str) -> None:
    end = exit_status_of(state, stopped_by=stopped_by, **LIMITS)
    assert end.exit_code == code
    assert told in end.reason
    assert bool(end.reason) == bool(told)


def test_the_end_of_a_killed_container_is_written_and_a_told_one_is_left(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path)
    record = RunRecord(id="run", model="Tiny", target="docker")
    record.begin_attempt("host")
    record.write(paths)
    end = ExitStatus(exit_code=137, reason="out of memory", hint="use less")
    assert finalize_run_record(paths, end, model="Tiny") == "error: out of memory\nhint: use less\n"
    assert finalize_run_record(paths, ExitStatus(exit_code=0, reason=""), model="Tiny") == ""
    record = RunRecord.read(paths)
    assert (record.state, record.exit_code, record.reason) == ("failed", 137, "out of memory")


def test_a_run_that_was_ended_while_it_listed_its_outputs_is_not_complete(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path)
    record = RunRecord(id="run", model="Tiny", target="docker")
    record.begin_attempt("host")
    record.end_attempt("completed", 0, "")
    record.write(paths)
    assert finalize_run_record(paths, ExitStatus(exit_code=0, reason=""), model="Tiny") == ""
    end = ExitStatus(exit_code=130, reason="ended by SIGINT")
    assert finalize_run_record(paths, end, model="Tiny") == "error: ended by SIGINT\n"
    assert RunRecord.read(paths).state == "interrupted"


def test_a_container_that_never_got_to_its_record_gets_one(tmp_path: Path) -> None:
    finalize_run_record(RunPaths(tmp_path), ExitStatus(exit_code=130, reason="ended by SIGINT"), model="Tiny")
    assert RunRecord.read(RunPaths(tmp_path)).state == "interrupted"


def test_a_container_that_was_killed_before_it_began_leaves_the_earlier_attempt_as_it_is(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path)
    record = RunRecord(id="run", model="Tiny", target="docker")
    record.begin_attempt("host")
    record.end_attempt("stopped", 143, "stopped (SIGTERM)")
    record.write(paths)
    end = ExitStatus(exit_code=137, reason="out of memory")
    assert finalize_run_record(paths, end, model="Tiny", earlier=1) == "error: out of memory\n"
    first, second = RunRecord.read(paths).attempts
    assert (first.state, first.exit_code, first.reason) == ("stopped", 143, "stopped (SIGTERM)")
    assert (second.state, second.exit_code, second.reason) == ("failed", 137, "out of memory")


def test_output_is_copied_byte_for_byte_and_a_reader_that_has_gone_stops_nothing(tmp_path: Path) -> None:
    pieces = [(b"50%\r", None), (b"caf\xc3", None), (None, b"\xff"), (b"\xa9", None)]
    out, err = (os.open(tmp_path / name, os.O_RDWR | os.O_CREAT) for name in ("out", "err"))
    LogStreamer(pieces, stdout=out, stderr=err).finish()
    assert (tmp_path / "out").read_bytes() == "50%\rcafé".encode()
    assert (tmp_path / "err").read_bytes() == b"\xff"
    reader, writer = os.pipe()
    os.close(reader)
    taken = []
    LogStreamer((taken.append(piece) or piece for piece in pieces), stdout=writer, stderr=err).finish()
    assert len(taken) == len(pieces)
    for descriptor in (out, err, writer):
        os.close(descriptor)


def test_a_slow_reader_gets_all_of_the_output(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_stream, "_QUIET_SECONDS", 0.5)
    reader, writer = os.pipe()
    os.set_blocking(writer, False)  # as another program that shares it may have left it
    size = 300_000
    taken: list[bytes] = []

    def read() -> None:
        time.sleep(1.5)  # longer than an engine that is quiet is listened to
        while sum(map(len, taken)) < size:
            taken.append(os.read(reader, 1 << 16))

    thread = threading.Thread(target=read)
    thread.start()
    LogStreamer([(bytes(size // 10), None)] * 10, stdout=writer, stderr=2).finish()
    os.close(writer)
    thread.join(timeout=10)
    assert sum(map(len, taken)) == size
    os.close(reader)


def test_a_reader_that_takes_nothing_holds_nobody_who_asked_for_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_stream, "_QUIET_SECONDS", 0.5)
    reader, writer = os.pipe()
    LogStreamer([(bytes(1 << 20), None)], stdout=writer, stderr=2).finish(lambda: True)
    os.close(reader)  # which ends the thread
    time.sleep(0.1)
    os.close(writer)


def test_a_full_disk_below_the_output_stops_nothing() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    taken = []
    pieces = [(b"one", None), (b"two", None)]
    LogStreamer((taken.append(piece) or piece for piece in pieces), stdout=full, stderr=2).finish()
    assert len(taken) == len(pieces)
    os.close(full)


def test_a_launcher_is_known_from_a_later_process_with_its_number() -> None:
    assert is_alive(current_process())
    number, start, boot = current_process().split("-", 2)
    assert not is_alive(f"{number}-{int(start) + 1}-{boot}")
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    from innereye_runtime.run.process_id import _identity

    identity = _identity(child.pid)
    assert identity is not None and is_alive(identity)
    child.kill()
    child.wait()
    assert not is_alive(identity)


def test_the_launch_file_is_private_and_reads_back(tmp_path: Path) -> None:
    launch = LaunchContext(
        code=Code(root="/code", commit="abc", dirty=True, diff="-x"),
        image={"reference": "innereye-runtime:cpu", "digest": "sha256:1"},
        datasets=[{"mode": "mount"}],
        secrets={"API_KEY": "hunter2"},
    )
    launch.write(tmp_path / "launch.json")
    assert (tmp_path / "launch.json").stat().st_mode & 0o777 == 0o400
    assert LaunchContext.read(tmp_path / "launch.json") == launch
    assert "hunter2" not in repr(launch)
    assert LaunchContext.read(tmp_path / "none") == LaunchContext()


def test_what_a_launcher_left_that_was_killed_before_its_container_was_made_is_removed() -> None:
    from innereye_runtime.targets.docker import launch_context_file as docker_launch

    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    left = docker_launch._place() / f"innereye-runtime-{gone.pid}-1-abc"
    left.mkdir()
    caller = HostUser(uid=os.geteuid(), gid=os.getegid(), groups=(), memory=Memory.parse("1g"))
    with docker_launch.launch_context_file(LaunchContext(secrets={"API_KEY": "hunter2"}), caller) as file:
        docker_launch.cleanup_stale()
        assert LaunchContext.read(file).secrets == {"API_KEY": "hunter2"}
        assert not left.exists()
    assert not file.parent.exists()


def test_all_that_pip_installs_into_an_image_has_a_hash() -> None:
    locks = sorted((ROOT / "images").glob("*.txt"))
    assert [lock.stem for lock in locks] == ["requirements-cpu", "requirements-gpu", "tools", "torch-cpu", "torch-gpu"]
    embedded = (ROOT / "images" / "install-packages").read_text()
    uv = re.search(r"^uv_lock\(\) \{\n    cat <<'END'\n(.*?)^END$", embedded, flags=re.MULTILINE | re.DOTALL)
    assert uv is not None
    for text in [lock.read_text() for lock in locks] + [uv[1]]:
        blocks = re.findall(r"^[\w.-]+==.*\n(?:\s+.*\n)*", text, flags=re.MULTILINE)
        lines = [line for line in text.splitlines() if not line.startswith("#")]
        assert blocks and sum(block.count("\n") for block in blocks) == len(lines)
        for block in blocks:
            assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", block), block
    dockerfile = (ROOT / "Dockerfile.gpu").read_text().replace("\\\n", " ")
    installs = re.findall(r"install-for-image(?= ).*|pip wheel.*", dockerfile)
    assert len(installs) == 5, "the tools, torch, the rest, the code and its wheel"
    assert all("--require-hashes" in each or "--no-index" in each for each in installs)
    assert '"${pip[@]}" install -q --root-user-action=ignore --no-deps --require-hashes' in embedded


class Images:
    """Those of an engine, and what a pull adds."""

    def __init__(self, *present: str, digests: tuple[str, ...] = (), id: str = "sha256:1d") -> None:
        self.present, self.digests, self.id = list(present), digests, id

    def image(self, reference: str) -> dict[str, Any]:
        if reference not in self.present:
            raise RefusedError(404, f"No such image: {reference}")
        return {"Id": self.id, "RepoDigests": [f"debian@{each}" for each in self.digests]}


def test_a_base_that_is_pulled_is_built_on_by_its_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = plan_build(variant="cpu", root=ROOT)

    def base(images: Images, name: str = "debian:12") -> str:
        with (tmp_path / "log").open("wb") as log:
            return _pinned(images, replace(here, base=name), output=log.fileno())  # type: ignore[arg-type]

    assert base(Images("debian:12")) == "debian:12", "made on this machine"
    assert base(Images("debian:12", digests=("sha256:1d",))) == "debian:12", "and on an engine with containerd"
    assert base(Images("debian:12", digests=("sha256:aa",))) == "debian:12@sha256:aa"
    assert base(Images(), name="debian@sha256:bb") == "debian@sha256:bb"
    pulls = Images(digests=("sha256:cc",), id="sha256:cc")

    def pull(words: list[str], **_: Any) -> subprocess.CompletedProcess[bytes]:
        assert words[1:] == ["pull", "--quiet", "debian:12"]
        pulls.present.append(words[-1])
        return subprocess.CompletedProcess(words, 0)

    monkeypatch.setattr("innereye_runtime.targets.docker.image.building_client", lambda: "docker")
    monkeypatch.setattr("innereye_runtime.targets.docker.image.subprocess.run", pull)
    assert base(pulls) == "debian:12@sha256:cc"
