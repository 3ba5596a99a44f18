"""Runs `innereye-run` with the arguments given, and refuses what a command that only looks must not do.

Run as a script. Network, programs and files opened to write end it with exit code 99. On its last line of standard
error it names the heavy packages that were imported.
"""

from __future__ import annotations

import os
import sys

HEAVY = ("torch", "docker", "azure", "pytorch_lightning", "numpy", "rich", "tensorboard", "InnerEye", "health_ml")
HEAVY += ("optuna",)
WRITES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.link", "os.truncate", "shutil.copyfile"}
PROGRAMS = {"subprocess.Popen", "os.exec", "os.fork", "os.posix_spawn", "os.system", "os.startfile"}


def hook(event: str, arguments: tuple[object, ...]) -> None:
    if event.startswith("socket.") and event != "socket.gethostname":
        refuse(f"network: {event} {arguments}")
    if event in PROGRAMS or event in WRITES:
        refuse(f"{event} {arguments}")
    if event == "open" and arguments[0] != os.devnull:
        flags = arguments[2] if isinstance(arguments[2], int) else 0
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            refuse(f"write: {arguments}")


def refuse(what: str) -> None:
    os.write(2, f"refused: {what}\n".encode())
    os._exit(99)


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    sys.addaudithook(hook)
    from innereye_runtime.cli.main import main

    code = main(sys.argv[1:])
    sys.stdout.flush()
    print("heavy:", *sorted(name for name in HEAVY if name in sys.modules), file=sys.stderr)
    sys.exit(code)
