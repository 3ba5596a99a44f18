"""`innereye-run standin -- COMMAND`: a command with an Azure Machine Learning of its own, on this machine."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from innereye_runtime.cli.ui.parser import Parser
from innereye_runtime.cli.ui.terminal import CYAN, eprint, paint
from innereye_runtime.errors import ExitCode, PreflightError, UsageError

if TYPE_CHECKING:
    from azureml_emulator.emulator import Cloud


class Arguments(argparse.Namespace):
    data: list[str]
    fault: list[str]
    preempt: list[float]
    no_restart: bool
    identity_stores: bool
    limits: bool


def parser() -> Parser:
    parser = Parser(
        "standin",
        usage="[--data NAME=FOLDER ...] [--fault KIND[@WHERE][:TIMES] ...] [--preempt SECONDS ...] [-- COMMAND ...]",
        about="Runs COMMAND with an Azure Machine Learning of its own, here: no cloud, no account, jobs in Docker.\n"
        "Without COMMAND: prints the variables for another shell, and serves until Ctrl-C.",
        examples=[
            "innereye-run standin --data hello=data/hello -- innereye-run --target azureml manifests/hello.yaml",
            "innereye-run standin --preempt 5 --preempt 8 -- COMMAND                # restarted twice by the platform",
            "innereye-run standin --fault '429@PUT *' --fault '500@PUT */jobs/*:2'  # busy and broken while submitting",
            "innereye-run standin --fault 'answer-dropped@PUT */jobs/*'             # the job is taken, nobody is told",
            "innereye-run standin --fault 'token-expired@GET */jobs/*'              # in the middle of following",
            "innereye-run standin --fault dropped@user_logs:3 --fault slow@blob     # the log is late, or never comes",
            "innereye-run standin --fault 'answer-dropped@GET *blob*/*.ckpt'        # half a checkpoint is downloaded",
            "innereye-run standin --limits",
        ],
    )
    parser.add_argument(
        "--data",
        action="append",
        default=[],
        metavar="NAME=FOLDER",
        help="a data asset that the workspace has from the start; can be given several times",
    )
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="KIND[@WHERE][:TIMES]",
        help="do wrong with the first TIMES (1) requests that WHERE fits, a pattern over 'METHOD host/path' as a\n"
        "shell's, or a part of it; can be given several times. KIND is\n"
        "  429, 500, 503   that status is the answer\n"
        "  slow            the answer comes after 5 seconds\n"
        "  dropped         the connection is closed, and nothing was done\n"
        "  answer-dropped  what was asked for is done, and the connection closed within the answer\n"
        "  token-expired   the tokens given out so far are refused from then on",
    )
    parser.add_argument(
        "--preempt",
        action="append",
        type=float,
        default=[],
        metavar="SECONDS",
        help="take the machine of a job away after that time; a second one is for its second attempt",
    )
    parser.add_argument(
        "--no-restart", action="store_true", help="a preempted job has failed, and is not started again by the platform"
    )
    parser.add_argument(
        "--identity-stores", action="store_true", help="datastores hold no key: clients read them with their own token"
    )
    parser.add_argument("--limits", action="store_true", help="list what the stand-in does not model")
    return parser


def run(argv: Sequence[str]) -> int:
    own, command = _split(argv)
    arguments, _ = parser().read(own, Arguments())
    if arguments.limits:
        from azureml_emulator.limits import LIMITS

        print("The stand-in does not model:", *(f"- {limit}" for limit in LIMITS), sep="\n")
        return ExitCode.DONE
    from azureml_emulator.faults import Fault

    data = [_data(text) for text in arguments.data]
    faults = [Fault.parse(text) for text in arguments.fault]
    try:
        from azureml_emulator.checker.api_description import SPEC_VARIABLE
        from azureml_emulator.emulator import open_cloud
    except ImportError as error:
        raise PreflightError(
            f"the stand-in needs {error.name}, which is not installed", hint="pip install 'innereye-runtime[azureml]'"
        ) from error
    with open_cloud(
        [Path.cwd(), Path(__file__).resolve().parents[3]],
        faults=faults,
        preemptions=arguments.preempt,
        restarts_preempted=not arguments.no_restart,
        identity_stores=arguments.identity_stores,
    ) as cloud:
        for name, version, folder in data:
            cloud.add_data(name, folder, version=version)
        if cloud.server.description is None:
            eprint(
                "note: Microsoft's published description is not at hand, so requests are not checked against it;"
                f" {SPEC_VARIABLE} names a folder with it"
            )
        code = _follow(command, cloud) if command else _serve(cloud)
        _sum_up(cloud)
        return code


def _split(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    words = list(argv)
    if "--" not in words:
        return words, []
    place = words.index("--")
    if place == len(words) - 1:
        raise UsageError("there is no command after '--'", hint=f"innereye-run standin {parser().usage}")
    return words[:place], words[place + 1 :]


def _data(text: str) -> tuple[str, str, Path]:
    asset, separator, folder = text.partition("=")
    name, _, version = asset.partition(":")
    if not separator or not name:
        raise UsageError(f"--data takes NAME=FOLDER, not '{text}'", hint="as in --data hello=data/hello")
    if not Path(folder).is_dir():
        raise UsageError(f"--data {text}: there is no folder {folder}")
    return name, version or "1", Path(folder)


def _follow(command: list[str], cloud: Cloud) -> int:
    """The exit code of `command`, which gets the signals that come here."""
    try:
        child = subprocess.Popen(command, env={**os.environ, **cloud.environment()})
    except OSError as error:
        raise UsageError(f"{command[0]} can't be started: {error.strerror}") from None
    # The terminal sends Ctrl-C to both; this one waits for what the command makes of it.
    previous = {
        signal.SIGINT: signal.signal(signal.SIGINT, signal.SIG_IGN),
        signal.SIGTERM: signal.signal(signal.SIGTERM, lambda signum, frame: child.send_signal(signum)),
    }
    try:
        returned = child.wait()
    finally:
        for signum, handler in previous.items():
            signal.signal(signum, handler)
    return returned if returned >= 0 else 128 - returned


def _serve(cloud: Cloud) -> int:
    for name, value in cloud.environment().items():
        print(f"export {name}={shlex.quote(value)}")
    print("# the stand-in serves until Ctrl-C", flush=True)
    stop = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, stop)
    signal.sigwait(stop)
    return ExitCode.DONE


def _sum_up(cloud: Cloud) -> None:
    checked = sum(bool(call.operation) for call in cloud.calls)
    hosts = sorted(set(cloud.proxy.connected))
    eprint(
        paint("stand-in:", CYAN, sys.stderr) + f" {len(cloud.calls)} calls, {checked} checked against the description"
    )
    refused = sorted(set(cloud.proxy.refused))
    eprint(f"  hosts asked for: {', '.join(hosts) or 'none'}; other hosts, refused: {', '.join(refused) or 'none'}")
    for kind, request in cloud.faults.done:
        eprint(f"  fault: {kind} for {request.replace(cloud.workspace.id, '/...')}")
    for job in cloud.workspace.jobs.values():
        end = f": {job.error}" if job.error else "" if job.is_over else ": ends here, with the stand-in"
        eprint(f"  job {job.name}: {' > '.join(job.history)}{end}")
    for name in cloud.missing_data:
        eprint(f"  data asset {name} was asked for and is not there; with --data {name}=FOLDER it is")
    if cloud.server.description is None:
        eprint("  violations of the description: not looked for, as it is not at hand")
        return
    violations = cloud.violations
    eprint(f"  violations of the description: {len(violations) or 'none'}")
    for call in violations:
        eprint(f"    {call}: {'; '.join((*call.errors, *call.answer_errors))}")
