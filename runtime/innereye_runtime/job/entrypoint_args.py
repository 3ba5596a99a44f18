"""What the launching side tells the running side, as an argument vector: written and read in this one file.

innereye-runtime [--smoke] [--target T] [--run-folder DIR [--stage-to DIR]] [--code-root DIR] [--cwd DIR]
[--dataset DIR ...] MANIFEST [--name=value ...]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from innereye_runtime.errors import UsageError
from innereye_runtime.introspection.arguments.option_names import PREFIX
from innereye_runtime.manifest.settings import PREFIX as SETTING
from innereye_runtime.manifest.settings import is_setting


@dataclass(frozen=True, slots=True, kw_only=True)
class EntrypointArgs:
    """A request to the entrypoint. Its `argv()` parses back to an equal one."""

    manifest: Path
    overrides: tuple[str, ...] = ()
    target: str | None = None
    """The target that started this process; it stands in run.json. None: nobody did, the entrypoint was called by
    hand.
    """
    smoke: bool = False
    debug: bool = False
    """A person follows it in a debugger."""
    run_folder: Path | None = None
    """None: a new one in the manifest's outputs folder."""
    stage_to: Path | None = None
    """The output that the files of the run folder, a local one, are copied to. None: they stay there."""
    code_root: Path | None = None
    """None: found from the manifest's place."""
    cwd: Path | None = None
    """Where the relative paths of the container count from. None: the working directory of the process."""
    datasets: tuple[Path, ...] = ()
    """Where the datasets lie for this process, in the manifest's order; empty: where the manifest says."""

    def argv(self) -> list[str]:
        options = ["--smoke"] if self.smoke else []
        options += ["--debug"] if self.debug else []
        if self.target is not None:
            options.append(f"--target={self.target}")
        if self.run_folder is not None:
            options.append(f"--run-folder={self.run_folder}")
        if self.stage_to is not None:
            options.append(f"--stage-to={self.stage_to}")
        if self.code_root is not None:
            options.append(f"--code-root={self.code_root}")
        if self.cwd is not None:
            options.append(f"--cwd={self.cwd}")
        options += [f"--dataset={path}" for path in self.datasets]
        return [*options, str(self.manifest), *map(_told_apart, self.overrides)]


EPILOG = """\
examples:
  innereye-runtime manifests/hello.yaml                   train, test and report, in outputs/<start>_<class>
  innereye-runtime manifests/hello.yaml --num_layers=7    set any public parameter of the container class
  innereye-runtime --smoke manifests/hello.yaml           run the whole path on two batches
  innereye-runtime --run-folder=outputs/RUN MANIFEST      resume in that folder, from its newest checkpoint

This is the running side: what the process target, the Docker image and AzureML start. On your machine use innereye-run.
"""


def _told_apart(override: str) -> str:
    """An override whose parameter is called like an option here, as in `--dataset=lungs`, so that it is none."""
    if is_setting(override):
        return override
    name = override.partition("=")[0]
    own = name in parser()._option_string_actions
    return override.replace("--", PREFIX, 1) if own else override


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message, hint="innereye-runtime --help shows what it takes")


def parser() -> argparse.ArgumentParser:
    """The command line of the running side.

    Raises (when it parses):
        UsageError: the argument vector is off.
    """
    result = _Parser(
        prog="innereye-runtime",
        usage="innereye-runtime [options] MANIFEST [--name=value ...]",
        description="Train, test and report one manifest in this process.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    result.add_argument("manifest", type=Path, metavar="MANIFEST", help="the manifest, a YAML file")
    result.add_argument("--smoke", action="store_true", help="one epoch of two batches of each split")
    result.add_argument("--debug", action="store_true", help="keep the terminal for breakpoint(); no loader workers")
    result.add_argument("--run-folder", type=Path, metavar="DIR", help="the run folder; a run that is in it is resumed")
    result.add_argument(
        "--stage-to",
        type=Path,
        metavar="DIR",
        help="the mounted output that finished files are copied to, whole; a run that is in it is resumed",
    )
    result.add_argument(
        "--code-root", type=Path, metavar="DIR", help="the root of the code that has the container class"
    )
    result.add_argument(
        "--cwd", type=Path, metavar="DIR", help="where relative paths count from (default: the working directory)"
    )
    result.add_argument(
        "--dataset",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="the folder of a dataset; once for each, in order",
    )
    result.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="a key of the manifest: --set compute.gpus=all"
    )
    result.add_argument("--target", metavar="NAME", help="the target that started this process, for run.json")
    return result


def parse(argv: Sequence[str]) -> EntrypointArgs:
    """The request that `argv` makes.

    Raises:
        UsageError: an option is unknown or lacks its value or the one that it needs, or there is no manifest.
        SystemExit: for `--help`, after it was printed.
    """
    known, rest = parser().parse_known_args(argv)
    for word in rest:
        if not word.startswith("--"):
            raise UsageError(
                f"unexpected argument '{word}'", hint="one manifest, and parameters of the container as --name=value"
            )
    if known.stage_to is not None and known.run_folder is None:
        raise UsageError("--stage-to needs --run-folder", hint="name a local folder for the run")
    return EntrypointArgs(
        manifest=known.manifest,
        overrides=(*rest, *(f"{SETTING}{word}" for word in known.set)),
        target=known.target,
        smoke=known.smoke,
        debug=known.debug,
        run_folder=known.run_folder,
        stage_to=known.stage_to,
        code_root=known.code_root,
        cwd=known.cwd,
        datasets=tuple(known.dataset),
    )
