"""The process of one trial of a sweep: it submits the trial's job to its target and waits, as `innereye-run` does."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from innereye_runtime.cli.ui.terminal import log_to_stderr, run_with_error_handling


def main(argv: Sequence[str], *, warm: bool = False) -> int:
    """The exit code of the trial that `innereye_runtime.sweep.workers.argv_of` names. `warm`: this process has imported
    what training needs, and the trial's own process is a fork of it.
    """
    folder, target, code_root, smoke = argv
    return run_with_error_handling(
        lambda: run(Path(folder), target=target, code_root=Path(code_root), smoke=smoke == "1", warm=warm)
    )


def run(folder: Path, *, target: str, code_root: Path, smoke: bool, warm: bool) -> int:
    from innereye_runtime.job.resolve import resolve_job
    from innereye_runtime.targets.process import ProcessTarget
    from innereye_runtime.targets.registry import get_target

    manifest = folder / "manifest.yaml"
    job = resolve_job(manifest, cwd=Path.cwd(), target=target, smoke=smoke, root=code_root, run_folder=folder)
    chosen = ProcessTarget(warm=True) if warm else get_target(target)
    with log_to_stderr():
        handle = chosen.submit(chosen.plan(job), stdout=1)
    return handle.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
