"""`innereye-run`: the first word is a command or a manifest."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from importlib import import_module

from innereye_runtime import __version__
from innereye_runtime.cli.follow import main as follow
from innereye_runtime.cli.handover import HandoverError, begin
from innereye_runtime.cli.ui.terminal import run_with_error_handling
from innereye_runtime.errors import ExitCode, UsageError

COMMANDS = {
    "init": "write a project that trains at once, or a manifest for a module",
    "run": "train, evaluate and report (default command)",
    "validate": "check a manifest and show every error with line and column",
    "plan": "what would be started, without starting it",
    "explain": "every effective value and where it came from",
    "schema": "the manifest's JSON Schema, or that of a container's parameters",
    "report": "regenerate report.html from a run folder",
    "verify": "compare a run folder with its outputs.json",
    "resume": "resume a run from its latest checkpoint",
    "data": "list, fetch and fingerprint datasets, and look after the cache",
    "doctor": "check what a job needs, and show what is missing",
    "image": "build the runtime image, or inspect one",
    "status": "show the state of a run",
    "download": "download the run folder of an Azure ML job",
    "ps": "list the active runs on this machine",
    "ls": "list the runs in a folder, with their metrics",
    "compare": "what differs between runs, and their metrics side by side",
    "rerun": "run a run once more, and say whether it came to the same",
    "rm": "remove run folders",
    "logs": "what a run prints, while it runs or later",
    "wait": "wait until runs are over, with the worst of their exit codes",
    "stop": "ask runs to save a checkpoint and end",
    "drill": "break a job at random moments, resume it, compare the results",
    "clean": "stop and remove what killed launchers left behind",
    "completion": "the completion script of a shell",
}
"""Each is a module of this package with `run(argv) -> exit code` and `parser()`."""

REPLACED = {"standin": "azureml-emulator, a program of its own with the same options"}

HELP = """\
innereye-run trains a PyTorch Lightning model from one YAML manifest, evaluates
it and reports.

Usage: innereye-run MANIFEST [--target process|docker|slurm|azureml] [--smoke]
       [--json] [--key=value ...]
       innereye-run COMMAND ...

Examples:
  innereye-run manifests/hello.yaml                  train, as the manifest says
  innereye-run manifests/hello.yaml --num_epochs=5   set a public parameter
  innereye-run --target docker manifests/hello.yaml  the same job in a container
  innereye-run --smoke manifests/hello.yaml          a quick end-to-end run
  innereye-run validate manifests/*.yaml             every error, with its line
  innereye-run explain manifests/hello.yaml          each value, and its origin

Commands:
{commands}
Run 'innereye-run COMMAND --help' for details. --version prints the version.
Exit codes: 0 done, 1 your code raised, 2 usage or manifest, 3 preflight,
            4 image, 5 data, 6 outputs not complete, 130 interrupted,
            143 stopped with a checkpoint.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of the command that `argv` (default: this process's own) names; problems go to standard error."""
    # What is imported lives on, and looking for garbage in it at every 700 objects, as Python does, slows a start.
    gc.set_threshold(100_000)
    try:
        return run_with_error_handling(lambda: dispatch(list(sys.argv[1:] if argv is None else argv)))
    except HandoverError as handover:
        if argv is None:  # the process is this program's
            begin(handover)
        return follow([handover.argument])
    finally:
        # Nor is it looked through once more at the end, which takes an eighth of `validate`. With PyTorch it is: some
        # compiled modules report what is not freed as leaked.
        if argv is None and "torch" not in sys.modules:
            gc.freeze()


def dispatch(argv: list[str]) -> int:
    """Runs the command; one that is not there is `run`."""
    if not argv or argv[0] in ("-h", "--help", "help"):
        sys.stdout.write(help_text())
        return ExitCode.DONE if argv else ExitCode.USAGE
    if argv[0] == "--version":
        print(f"innereye-run {__version__}")
        return ExitCode.DONE
    if argv[0] in REPLACED:
        raise UsageError(f"'innereye-run {argv[0]}' was replaced by {REPLACED[argv[0]]}")
    name, rest = (argv[0], argv[1:]) if argv[0] in COMMANDS else ("run", argv)
    if name != argv[0]:
        refuse_misspelled_command(argv[0])
    command = import_module(f"innereye_runtime.cli.commands.{name}")
    own = rest[: rest.index("--")] if "--" in rest else rest
    if {"-h", "--help"} & set(own):
        sys.stdout.write(command.parser().format_help())
        return ExitCode.DONE
    code: int = command.run(rest)
    return code


def refuse_misspelled_command(word: str) -> None:
    """Returns where `word` may be a manifest or an option.

    Raises:
        UsageError: it is no file, and is nearly a command.
    """
    from pathlib import Path

    if word.isalpha() and not Path(word).exists():
        from difflib import get_close_matches

        near = get_close_matches(word, COMMANDS, n=1)
        if near and not any(Path(word + suffix).exists() for suffix in (".yaml", ".yml")):
            raise UsageError(f"there is no command '{word}'", hint=f"did you mean '{near[0]}'?")


def help_text() -> str:
    width = max(map(len, COMMANDS))
    return HELP.format(commands="".join(f"  {name:<{width}}  {about}\n" for name, about in COMMANDS.items()))
