"""Colour where a person looks, and only there; pipes and interruptions end without noise."""

from __future__ import annotations

import errno
import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from innereye_runtime import entrypoint
from innereye_runtime.cli.main import main
from innereye_runtime.cli.ui import terminal
from innereye_runtime.errors import DataError, ExitCode, OutputError, PreflightError

PROJECT = Path(__file__).with_name("project")
RUN = [sys.executable, "-c", "import sys; from innereye_runtime.cli.main import main; sys.exit(main())"]


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environ", "screen", "expected"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"TERM": "dumb"}, True, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, False),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, False, True),
    ],
)
def test_colour(environ: dict[str, str], screen: bool, expected: bool) -> None:
    stream = Screen() if screen else io.StringIO()
    assert terminal.use_color(stream, environ) is expected


def test_on_a_terminal_diagnostics_have_colour() -> None:
    parent, child = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    done = subprocess.run(
        [*RUN, "validate", "broken.yaml"],
        cwd=PROJECT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=child,
        env={**environment, "TERM": "xterm"},
        timeout=60,
    )
    os.close(child)
    shown = os.read(parent, 100_000).decode()
    os.close(parent)
    assert done.returncode == ExitCode.USAGE
    assert "\33[" in shown
    assert "E104" in shown


def test_on_a_terminal_a_default_is_dim_and_what_was_set_is_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(PROJECT)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert main(["explain", "tiny.yaml"]) == ExitCode.DONE
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("  ", "\33[2m  "))]
    assert {line.startswith("\33[2m") for line in rows if "default" in line} == {True}
    assert {line.startswith("\33[2m") for line in rows if "default" not in line} == {False}


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (DataError("there is no data", hint="bring some"), "error: there is no data\nhint: bring some\n"),
        (PreflightError("no engine answers"), "error: no engine answers\n"),
    ],
)
def test_an_error_is_its_message_its_hint_and_its_exit_code(
    error: DataError | PreflightError, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> int:
        raise error

    assert terminal.run_with_error_handling(fail) == error.exit_code
    assert capsys.readouterr() == ("", shown)


def test_what_is_not_ours_is_a_bug_and_keeps_its_traceback() -> None:
    def fail() -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        terminal.run_with_error_handling(fail)


def test_an_interruption_ends_with_130() -> None:
    def interrupt() -> int:
        raise KeyboardInterrupt

    assert terminal.run_with_error_handling(interrupt) == ExitCode.INTERRUPTED


def test_a_reader_that_goes_away_is_no_error() -> None:
    command = " ".join(f"'{word}'" for word in [*RUN, "schema"])
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command} | head -n 1"], cwd=PROJECT, capture_output=True, timeout=60
    )
    assert (done.returncode, done.stderr, done.stdout) == (0, b"", b"{\n")


def test_output_errors_exit_with_6(capsys: pytest.CaptureFixture[str]) -> None:
    assert terminal.show_error(OutputError("x")) == 6


def test_a_folder_that_is_gone_or_read_only_is_an_error_of_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def deleted() -> int:
        return len((tmp_path / "gone" / "run.json").read_text())

    def read_only() -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), "/outputs/.lock")

    for fail, said in ((deleted, "gone/run.json can't be read or written: No such"), (read_only, "Read-only file")):
        assert terminal.run_with_error_handling(fail) == ExitCode.PREFLIGHT
        monkeypatch.setattr(entrypoint, "run", lambda request, fail=fail: fail())
        assert entrypoint.main(["m.yaml"]) == ExitCode.PREFLIGHT
        shown = capsys.readouterr().err
        assert shown.count(said) == 2 and shown.count("hint: ") == 2
    with pytest.raises(OSError, match="no file"):
        terminal.run_with_error_handling(lambda: (_ for _ in ()).throw(OSError("no file")))
