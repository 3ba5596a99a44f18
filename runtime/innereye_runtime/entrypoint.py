"""`innereye-runtime`: what the process target, the image and AzureML start. Here a whole run can be read from top to
bottom.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from importlib import import_module
from multiprocessing import current_process
from pathlib import Path
from types import ModuleType
from typing import IO, TYPE_CHECKING

from innereye_runtime.compat import lightning_alias
from innereye_runtime.errors import InnerEyeError, ManifestError, PreflightError, UsageError
from innereye_runtime.job.bundled import find_manifest
from innereye_runtime.job.entrypoint_args import EntrypointArgs, parse
from innereye_runtime.job.ranks import Ranks
from innereye_runtime.job.resolve import resolve_job
from innereye_runtime.run.paths import RunPaths, create_run_folder

if TYPE_CHECKING:
    from innereye_runtime.diagnostics.diagnostic import Diagnostic


lightning_alias.install()  # at import: loader workers that are spawned import this module too, and unpickle the user's


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of the run that `argv` asks for; `innereye_runtime.job.entrypoint_args` says what it may ask."""
    try:
        return run(parse(sys.argv[1:] if argv is None else argv))
    except ManifestError as error:
        _show(error.diagnostics)
        return error.exit_code
    except InnerEyeError as error:
        print(f"error: {error}", *([f"hint: {error.hint}"] if error.hint else []), sep="\n", file=sys.stderr)
        return error.exit_code


def run(request: EntrypointArgs) -> int:
    ranks = Ranks.from_environment(os.environ)
    if request.run_folder is None and not ranks.is_first:
        raise UsageError("several ranks write one run folder", hint="give all of them the same --run-folder")
    os.environ.update(ranks.variables(os.environ))
    imports = _begin_imports()
    cwd = Path.cwd()
    manifest = find_manifest(request.manifest, cwd=cwd, environment=os.environ)
    job = resolve_job(
        manifest.path, cwd=cwd, overrides=request.overrides, smoke=request.smoke, root=request.code_root, running=True
    )
    if request.target is None:
        _show(job.warnings)
    if request.run_folder is not None:
        paths = RunPaths(cwd / request.run_folder)
    else:
        outputs = job.output_to or cwd / "outputs" if manifest.shipped else job.outputs_folder
        paths = create_run_folder(outputs, job.model_name, datetime.now(UTC))
    terminal = _terminal()

    from innereye_runtime.training.lifecycle.run import open_run

    # Lightning starts the further ranks of this machine with the same words; they must find this folder.
    sys.argv[1:] = EntrypointArgs(
        manifest=manifest.path,
        overrides=request.overrides,
        target=request.target,
        smoke=request.smoke,
        run_folder=paths.root,
        code_root=job.code_root,
        datasets=tuple(cwd / dataset for dataset in request.datasets),
    ).argv()
    steps = None
    with open_run(job, paths, target=request.target) as run:
        steps = _finish_imports(imports)
        with run.step("container"):
            container = steps.create_container(run)
        with run.step("datasets"):
            steps.find_datasets(run, container, request.datasets)
        with run.step("training"):
            trained = steps.train(run, container, terminal)
        with run.step("evaluation"):
            steps.evaluate_best(run, container, trained)
        with run.step("report"):
            steps.report(run, container)
    if steps is not None:
        steps.finalise(run)
    if request.target is None and ranks.is_first:
        print(paths.root)
    return run.exit_code


def _begin_imports() -> threading.Thread:
    """Starts to import PyTorch and Lightning, while the manifest is read and the dataset looked at.

    They make a million objects that live on, and looking for garbage among those takes a fifth of the time: it is put
    off until they are there, and then they are left out of it for good.
    """
    gc.disable()
    thread = threading.Thread(target=_import_training, daemon=True)
    thread.start()
    return thread


def _import_training() -> None:
    with suppress(ImportError):  # `_finish_imports` meets it again, and says it
        import_module("innereye_runtime.training.lifecycle.steps")


def _finish_imports(thread: threading.Thread) -> ModuleType:
    thread.join()
    try:
        steps = import_module("innereye_runtime.training.lifecycle.steps")
    except ModuleNotFoundError as error:
        raise PreflightError(
            f"training needs the package {error.name}, which is not installed in {sys.prefix}",
            hint="pip install 'innereye-runtime[train]'",
        ) from None
    except ImportError as error:  # a package that is there, and not whole or of another version
        raise PreflightError(
            f"training can't import what it needs in {sys.prefix}: {error}",
            hint="pip install --force-reinstall 'innereye-runtime[train]'",
        ) from error
    gc.freeze()
    atexit.register(gc.unfreeze)  # else compiled modules report what was frozen as leaked, at the end
    gc.enable()
    return steps


def _prepare_worker() -> None:
    """Makes a process that a data loader spawned import what the run's own process can: the names of Lightning 1, and
    the shipped packages beside the user's modules of the same packages."""
    from innereye_runtime.compat import extended_packages, lightning1_imports

    lightning1_imports.install()
    extended_packages.install()


def _show(diagnostics: Sequence[Diagnostic]) -> None:
    if diagnostics:
        from innereye_runtime.diagnostics.rendering import render

        print(render(diagnostics, "text"), file=sys.stderr)


def _terminal() -> IO[str] | None:
    """The terminal that a person looks at, to draw a progress bar on; None where there is none."""
    if not os.isatty(2) or os.environ.get("TERM") == "dumb":
        return None
    return os.fdopen(os.dup(2), "w", encoding="utf-8", errors="replace")


# A process that is spawned imports the main module of its parent before anything of the user's.
if getattr(current_process(), "_inheriting", False):
    _prepare_worker()
if __name__ == "__main__":
    sys.exit(main())
