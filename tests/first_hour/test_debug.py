"""`--debug` on a terminal: breakpoint() in a dataset, and the debugger where an exception was raised."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

from tests.first_hour.mistakes import MANIFEST, Mistake

DATASET = """\
class Table(torch.utils.data.Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, index):
        if index == 0 and not hasattr(self, "seen"):
            self.seen = breakpoint()
        return torch.zeros(4), torch.zeros(1)


class Data("""

PROJECT = Mistake(
    name="debugged",
    code=(
        ("class Data(", DATASET),
        ("return DataLoader(self.table, batch_size=8)", "return DataLoader(Table(), 8, num_workers=2)"),
        ("        loss = torch", "        depth = 40\n        raise ValueError('upside down')\n        loss = torch"),
    ),
)


class Terminal:
    """A command on a pseudo-terminal, read until it shows something."""

    def __init__(self, command: list[str], cwd: Path) -> None:
        self._reading, writing = pty.openpty()
        environment = {**os.environ, "TERM": "xterm", "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            command, cwd=cwd, stdin=writing, stdout=writing, stderr=writing, env=environment, start_new_session=True
        )
        os.close(writing)
        self.seen = ""
        self._looked_at = 0

    def wait_for(self, text: str) -> None:
        deadline = time.monotonic() + 180
        while (place := self.seen.find(text, self._looked_at)) < 0:
            assert time.monotonic() < deadline, f"{text!r} did not come:\n{self.seen}"
            if select.select([self._reading], [], [], 1)[0]:
                try:
                    self.seen += os.read(self._reading, 65536).decode(errors="replace")
                except OSError:
                    raise AssertionError(f"{text!r} did not come:\n{self.seen}") from None
        self._looked_at = place + len(text)

    def send(self, line: str) -> None:
        os.write(self._reading, f"{line}\n".encode())


def test_breakpoints_have_the_terminal_and_an_exception_offers_the_debugger(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "lungs.py").write_text(PROJECT.source)
    (tmp_path / "lungs.yaml").write_text(MANIFEST + "compute: {max_duration: 1s}\n")
    command = [str(Path(sys.executable).with_name("innereye-run")), "--debug", "lungs.yaml", "--num_epochs=1"]
    terminal = Terminal([*command, "--pl_num_sanity_val_steps=0"], tmp_path)
    terminal.wait_for("(Pdb)")
    terminal.send("p 'index is', index")
    terminal.wait_for("('index is', 0)")
    time.sleep(1.5)  # past max_duration, which does not count
    terminal.send("c")
    terminal.wait_for("open the debugger there? [y/N]")
    assert "upside down" in terminal.seen
    terminal.send("y")
    terminal.wait_for("(Pdb)")
    terminal.send("p 'depth is', depth + 2")
    terminal.wait_for("('depth is', 42)")
    terminal.send("q")
    terminal.wait_for("error: ValueError: upside down")
    assert "site-packages" in terminal.seen, "the whole traceback is shown"
    terminal.wait_for("outputs/")
    assert terminal.process.wait(60) == 1
