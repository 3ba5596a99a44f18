"""The options of `azureml-emulator` and its commands."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from azureml_emulator.errors import UsageError
from azureml_emulator.storage.output_store import STORE_MODES, StoreMode


class Arguments(argparse.Namespace):
    help: bool
    version: bool = False
    limits: bool = False
    data: list[str]
    fault: list[str]
    preempt: list[float]
    no_restart: bool
    identity_stores: bool
    output_store: list[StoreMode]
    record: Path | None
    state: Path | None


class Parser(argparse.ArgumentParser):
    """The parser of one command: `usage` without the program's name, and `examples` that work."""

    def __init__(self, command: str, *, usage: str, about: str, examples: Sequence[str]) -> None:
        super().__init__(
            prog=f"azureml-emulator {command}".strip(),
            usage=f"%(prog)s {usage}",
            description=about,
            epilog="\n".join(["Examples:", *(f"  {example}" for example in examples)]),
            formatter_class=lambda prog: argparse.RawTextHelpFormatter(prog, max_help_position=28, width=80),
            allow_abbrev=False,
            add_help=False,
        )
        self.examples = examples
        self.add_argument("-h", "--help", action="store_true", help="show this help and exit")

    def read(self, words: Sequence[str]) -> Arguments:
        """The arguments.

        Raises:
            UsageError: one of them is unknown or not valid.
        """
        arguments, extra = self.parse_known_args(words, Arguments())
        if extra and not arguments.help:
            kind = "unknown option" if extra[0].startswith("-") else "unexpected argument"
            self.error(f"{kind} '{extra[0].partition('=')[0]}'")
        return arguments

    def usage_line(self) -> str:
        return self.format_usage().removeprefix("usage: ").strip()

    def error(self, message: str) -> NoReturn:
        raise UsageError(message.removeprefix("argument "), hint=self.usage_line())


def parser(command: str) -> Parser:
    """The parser of a command; of `azureml-emulator -- COMMAND` for ''."""
    if command == "stop":
        made = Parser(
            "stop",
            usage="[--state FOLDER]",
            about="Stops the emulator that 'start' started, cancels its jobs, and prints a summary on\n"
            "standard error. Prints an unset line for eval.",
            examples=['eval "$(azureml-emulator stop)"'],
        )
        return _add_state(made)
    if command == "clean":
        return Parser(
            "clean",
            usage="",
            about="Removes the containers, networks and images of jobs whose emulator was killed.",
            examples=["azureml-emulator clean"],
        )
    if command:
        made = Parser(
            command,
            usage="[--state FOLDER] [OPTION ...]",
            about="Starts an emulator in the background, and prints its environment variables as\n"
            "export lines for eval.",
            examples=['eval "$(azureml-emulator start --data hello=data/hello)"'],
        )
        return _add_options(_add_state(made))
    return _run_parser()


def _run_parser() -> Parser:
    made = Parser(
        "",
        usage="[OPTION ...] [-- COMMAND ...]\n       azureml-emulator start | stop | clean",
        about="Runs COMMAND with an Azure Machine Learning workspace of its own, on this machine:\n"
        "no cloud, no account, jobs in the local Docker engine. Without COMMAND, prints the\n"
        "environment variables for another shell, and serves until Ctrl-C.\n\n"
        "start, stop: an emulator in the background. clean: removes what killed emulators\n"
        "left in Docker. azureml-emulator start --help shows the options of 'start'.",
        examples=[
            "azureml-emulator --data hello=data/hello -- python submit.py",
            "azureml-emulator --data hello=data/hello -- innereye-run --target azureml manifests/hello.yaml",
            "azureml-emulator --preempt 5 --preempt 8 -- COMMAND                # the platform restarts the job twice",
            "azureml-emulator --fault '429@PUT *' --fault '500@PUT */jobs/*:2'  # errors during submission",
            "azureml-emulator --fault 'answer-dropped@PUT */jobs/*'             # accepted, but the response is lost",
            "azureml-emulator --fault 'token-expired@GET */jobs/*'              # while the job is being followed",
            "azureml-emulator --fault dropped@user_logs:3 --fault slow@blob     # log requests fail or are slow",
            "azureml-emulator --fault 'answer-dropped@GET *blob*/*.ckpt'        # the download of a file is truncated",
            "azureml-emulator --limits",
        ],
    )
    _add_options(made)
    made.add_argument("--limits", action="store_true", help="list what the emulator does not model")
    made.add_argument("--version", action="store_true", help="show the version")
    return made


def _add_state(made: Parser) -> Parser:
    made.add_argument(
        "--state",
        type=Path,
        metavar="FOLDER",
        help="folder of the state and the log; default:\n$XDG_STATE_HOME/azureml-emulator or\n"
        "~/.local/state/azureml-emulator",
    )
    return made


def _add_options(made: Parser) -> Parser:
    made.add_argument(
        "--data",
        action="append",
        default=[],
        metavar="NAME=FOLDER",
        help="upload FOLDER as data asset NAME, or NAME:VERSION;\ncan be given several times",
    )
    made.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="KIND[@WHERE][:TIMES]",
        help="inject a fault into the first TIMES (default 1)\n"
        "requests matching WHERE, a shell pattern for\n"
        "'METHOD host/path' or a part of it; can be given\n"
        "several times. KIND is\n"
        "  429, 500, 503   respond with that status\n"
        "  slow            respond after 5 seconds\n"
        "  dropped         close the connection before the\n"
        "                  request is processed\n"
        "  answer-dropped  process the request, then close\n"
        "                  the connection in the response\n"
        "  token-expired   reject the tokens issued so far",
    )
    made.add_argument(
        "--preempt",
        action="append",
        type=float,
        default=[],
        metavar="SECONDS",
        help="preempt each job after that time; a second value\nis for its second attempt",
    )
    made.add_argument("--no-restart", action="store_true", help="do not restart a preempted job: it fails")
    made.add_argument(
        "--identity-stores",
        action="store_true",
        help="datastores have no key: clients read them with\ntheir own token",
    )
    made.add_argument(
        "--output-store",
        action="append",
        default=[],
        choices=STORE_MODES,
        metavar="MODE",
        help="how mounted outputs behave, other than a file system;\ncan be given several times\n"
        "  no-rename, no-append, no-delete\n"
        "                  the mount refuses that\n"
        "  close-to-open   each node has a view of its own, and\n"
        "                  sees what others have closed\n"
        "  slow            writes take time, and arrive every\n"
        "                  4 seconds\n"
        "  failing         every third file can't be opened",
    )
    made.add_argument(
        "--record", type=Path, metavar="FILE", help="write each request and response to FILE, as JSON\nlines"
    )
    return made


def parse_data(text: str) -> tuple[str, str, Path]:
    """Name, version and folder of `--data`.

    Raises:
        UsageError: it is not NAME=FOLDER, or the folder does not exist.
    """
    asset, separator, folder = text.partition("=")
    name, _, version = asset.partition(":")
    if not separator or not name:
        raise UsageError(f"--data needs NAME=FOLDER, not '{text}'", hint="for example --data hello=data/hello")
    if not Path(folder).is_dir():
        raise UsageError(f"--data {text}: the folder {folder} does not exist")
    return name, version or "1", Path(folder)
