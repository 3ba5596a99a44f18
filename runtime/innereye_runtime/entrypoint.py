"""`innereye-runtime`: what the process target, the image and AzureML start. Here a whole run can be read from top to
bottom.
"""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from importlib import import_module
from multiprocessing import current_process
from pathlib import Path
from types import ModuleType
from typing import IO, TYPE_CHECKING, NoReturn

from innereye_runtime.compat import lightning_alias
from innereye_runtime.errors import (
    ExitCode,
    InnerEyeError,
    ManifestError,
    PreflightError,
    UsageError,
    file_system_error,
)
from innereye_runtime.job.bundled import ends_with_container, find_manifest
from innereye_runtime.job.entrypoint_args import EntrypointArgs, parse, parser
from innereye_runtime.job.rank_end import VARIABLE as OWN_LAUNCHER
from innereye_runtime.job.rank_end import RankEnd
from innereye_runtime.job.ranks import Ranks
from innereye_runtime.job.resolve import Job, resolve_job
from innereye_runtime.job.starting import write_start
from innereye_runtime.launch.rank_group import group_to_start
from innereye_runtime.launch.rank_launcher import launch
from innereye_runtime.launch.staging import Staging, open_staging
from innereye_runtime.run.folder_lock import LAUNCHER, held
from innereye_runtime.run.paths import RunPaths, create_run_folder, resume_command
from innereye_runtime.run.process_end import begin_anew, leave

if TYPE_CHECKING:
    from innereye_runtime.diagnostics.diagnostic import Diagnostic


lightning_alias.install()  # at import: loader workers that are spawned import this module too, and unpickle the user's


def command() -> NoReturn:
    """The program: `main`, and the end of its process."""
    leave(main())


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of the run that `argv` asks for; `innereye_runtime.job.entrypoint_args` says what it may ask.

    Ctrl-C before the run listens to signals ends this process at once, without a traceback.
    """
    words = sys.argv[1:] if argv is None else argv
    if not words:
        print(parser().format_help(), end="")
        return ExitCode.USAGE
    interrupted = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        exit_code = run(parse(words))
    except ManifestError as error:
        _show(error.diagnostics)
        end = RankEnd(kind="failed", exit_code=error.exit_code, reason=str(error))
    except InnerEyeError as error:
        print(f"error: {error}", *([f"hint: {error.hint}"] if error.hint else []), sep="\n", file=sys.stderr)
        end = RankEnd(kind="failed", exit_code=error.exit_code, reason=str(error))
    except OSError as error:  # of the run folder itself: what the user's code raises is recorded there
        reported = file_system_error(error)
        if reported is None:
            raise
        print(f"error: {reported}", f"hint: {reported.hint}", sep="\n", file=sys.stderr)
        end = RankEnd(kind="failed", exit_code=reported.exit_code, reason=str(reported))
    else:
        end = RankEnd(kind="failed" if exit_code else "done", exit_code=exit_code)
    finally:
        signal.signal(signal.SIGINT, interrupted)
    end.write()
    return end.exit_code


def run(request: EntrypointArgs) -> int:
    environment = dict(os.environ)
    ranks = Ranks.from_environment(os.environ)
    if request.run_folder is None and not ranks.is_first:
        raise UsageError("several ranks write one run folder", hint="give all of them the same --run-folder")
    os.environ.update(ranks.variables(os.environ))
    cwd = request.cwd or Path.cwd()
    manifest = find_manifest(request.manifest, cwd=cwd, environment=os.environ)
    imports = None if _may_have_several(ranks, manifest.path) else _begin_imports()
    job = resolve_job(
        manifest.path, cwd=cwd, overrides=request.overrides, smoke=request.smoke, root=request.code_root, running=True
    )
    job = replace(job, debug=request.debug)
    if job.manifest.sweep is not None or job.manifest.cross_validation is not None:
        raise UsageError(
            "the manifest asks for several runs", hint="start it with innereye-run, which runs each of them"
        )
    if request.target is None:
        if job.manifest.outputs.remote:
            raise UsageError(
                f"this process does not copy run folders to {job.manifest.outputs.remote}",
                hint="start the run with innereye-run, which does, or add --set outputs.folder=outputs",
            )
        _show(job.warnings)
    if request.run_folder is not None:
        paths = RunPaths(cwd / request.run_folder)
    else:
        outputs = job.output_to or cwd / "outputs" if manifest.shipped else job.outputs_folder
        paths = create_run_folder(outputs, job.model_name, datetime.now(UTC))
    if request.target is None and ends_with_container(paths.root, os.environ):
        print(
            f"warning: nothing is mounted at {cwd}: the run is lost when this container is removed",
            f'hint: docker run --user "$(id -u)" -v "$PWD":{cwd} ...',
            sep="\n",
            file=sys.stderr,
        )
    staging = _open_staging(request, job, paths, ranks)
    if ranks.is_first or staging is not None:
        write_start(paths, job.manifest, replace(request, code_root=job.code_root), model=job.model_name)
    if staging is not None:
        staging.begin_attempt()
    # Further ranks have the same words, also those that Lightning starts, whose working directory is this folder.
    sys.argv[1:] = EntrypointArgs(
        manifest=manifest.path,
        overrides=request.overrides,
        target=request.target,
        smoke=request.smoke,
        debug=request.debug,
        run_folder=paths.root,
        stage_to=cwd / request.stage_to if request.stage_to else None,
        code_root=job.code_root,
        cwd=cwd,
        datasets=tuple(cwd / dataset for dataset in request.datasets),
    ).argv()
    if group := group_to_start(ranks, job, os.environ):
        exit_code = launch(group, ["-P", "-m", "innereye_runtime.entrypoint", *sys.argv[1:]], paths)
        return staging.finish(exit_code) if staging else exit_code
    imports = imports or _begin_imports()
    terminal = None if request.debug else _terminal()

    from innereye_runtime.training.lifecycle.children import end_children_with_parent

    end_children_with_parent()
    with held(paths, launcher=os.environ.get(LAUNCHER)) if ranks.is_first else nullcontext():
        exit_code, begins_again = _steps(job, paths, request, imports, terminal, staging)
    if staging is not None:
        exit_code = staging.finish(exit_code)
    started_by_lightning = ranks.launcher is not None and ranks.launcher.name == "Lightning"
    if begins_again and not exit_code and not started_by_lightning:  # else the first process starts another one
        begin_anew("innereye_runtime.entrypoint", sys.argv[1:], environment)
    if request.target is None and ranks.is_first:
        if exit_code in (ExitCode.INTERRUPTED, ExitCode.STOPPED):
            print(f"hint: {resume_command(paths, cwd)}", file=sys.stderr, flush=True)
        print(paths.root)
    return exit_code


def _open_staging(request: EntrypointArgs, job: Job, paths: RunPaths, ranks: Ranks) -> Staging | None:
    if request.stage_to is None:
        return None
    cwd, nodes = Path.cwd(), job.manifest.compute.nodes
    return open_staging(
        paths, cwd / request.stage_to, ranks, nodes=nodes, cwd=cwd, report=lambda text: print(text, flush=True)
    )


def _steps(
    job: Job,
    paths: RunPaths,
    request: EntrypointArgs,
    imports: Future[ModuleType],
    terminal: IO[str] | None,
    staging: Staging | None,
) -> tuple[int, bool]:
    """The exit code of the attempt, and whether another one is to follow at once."""
    from innereye_runtime.training.lifecycle.run import open_run

    steps = None
    with open_run(job, paths, target=request.target, staging=staging) as run:
        with _activity(terminal, "loading PyTorch and Lightning"):
            steps = _finish_imports(imports)
        with run.step("container"):
            container = steps.create_container(run)
        with run.step("datasets"), _activity(terminal, "reading the dataset"):
            steps.find_datasets(run, container, request.datasets)
        with run.step("training"):
            trained = steps.train(run, container, terminal)
        with run.step("evaluation"):
            steps.evaluate_best(run, container, trained)
        with run.step("report"):
            steps.report(run, container)
    if steps is not None and not run.begins_again:
        steps.finalise(run)
    return run.exit_code, run.begins_again


def _may_have_several(ranks: Ranks, manifest: Path) -> bool:
    """Whether this process may only start others, by words of the manifest alone: PyTorch is imported later then."""
    words = (b"processes", b"nodes", b"gpus")
    started = ranks.launcher is not None and OWN_LAUNCHER in os.environ
    return not started and any(word in manifest.read_bytes() for word in words)


def _begin_imports() -> Future[ModuleType]:
    """Starts to import PyTorch and Lightning, while the manifest is read and the dataset looked at.

    They make a million objects that live on, and looking for garbage among those takes a fifth of the time: it is put
    off until they are there, and then they are left out of it for good.
    """
    gc.disable()
    steps: Future[ModuleType] = Future()
    threading.Thread(target=_import_training, args=(steps,), daemon=True).start()
    return steps


def _import_training(steps: Future[ModuleType]) -> None:
    """Whatever ends the import is the future's, also what meets it in an interpreter that a stop is ending: nobody
    asks for it then, and it leaves no traceback."""
    try:
        steps.set_result(import_module("innereye_runtime.training.lifecycle.steps"))
    except BaseException as error:
        steps.set_exception(error)


def _finish_imports(imports: Future[ModuleType]) -> ModuleType:
    try:
        steps = imports.result()
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
    the shipped packages beside the user's modules of the same packages. It ends with the run's process."""
    from innereye_runtime.compat import extended_packages, lightning1_imports
    from innereye_runtime.training.lifecycle.children import end_with_parent

    end_with_parent()
    lightning1_imports.install()
    extended_packages.install()


def _show(diagnostics: Sequence[Diagnostic]) -> None:
    if diagnostics:
        from innereye_runtime.diagnostics.rendering import render

        print(render(diagnostics, "text"), file=sys.stderr)


@contextmanager
def _activity(terminal: IO[str] | None, what: str) -> Iterator[None]:
    """While it is open, a line on the terminal says what is being done; no log has it."""
    if terminal is None:
        yield
        return
    terminal.write(f"{what} ...")
    terminal.flush()
    try:
        yield
    finally:
        terminal.write("\r\x1b[K")
        terminal.flush()


def _terminal() -> IO[str] | None:
    """The terminal that a person looks at, to draw a progress bar on; None where there is none."""
    if not os.isatty(2) or os.environ.get("TERM") == "dumb":
        return None
    return os.fdopen(os.dup(2), "w", encoding="utf-8", errors="replace")


# A process that is spawned imports the main module of its parent before anything of the user's.
if getattr(current_process(), "_inheriting", False):
    _prepare_worker()
if __name__ == "__main__":
    command()
