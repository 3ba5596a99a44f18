"""The process that copies a run folder to its remote place on a node of a cluster, beside the job that writes it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from innereye_runtime.cli.ui.terminal import eprint, run_with_error_handling
from innereye_runtime.errors import ExitCode, InnerEyeError


def main(argv: Sequence[str]) -> int:
    """The exit code of the job, which standard input says at its end, or that of the copy where the job is done and the
    copy is not. `argv` has the folder of all copies and the run folder.
    """
    folder, run_folder = argv
    return run_with_error_handling(lambda: run(folder, Path(run_folder)))


def run(folder: str, run_folder: Path) -> int:
    from innereye_runtime.launch.mirroring import Mirroring
    from innereye_runtime.run.paths import RunPaths

    def begun() -> Mirroring:
        mirroring = Mirroring(RunPaths(run_folder), folder, report=eprint)
        mirroring.begin()
        return mirroring

    mirroring: Mirroring | None = None
    try:
        mirroring = begun()
    except InnerEyeError as error:  # the job trains all the same: its folder is kept, and copied at the end or later
        eprint(f"warning: the run folder is not copied: {error}")
    told = sys.stdin.readline().strip()  # empty where the script was killed
    exit_code = int(told) if told.isdecimal() else int(ExitCode.STOPPED)
    try:
        mirroring = mirroring or begun()
    except InnerEyeError:
        if exit_code:
            return exit_code
        raise
    return mirroring.finish(exit_code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
