"""`innereye-run wait RUN ...`: the end of runs that are at work elsewhere, and the worst of their exit codes."""

from __future__ import annotations

import argparse
import json
import queue
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from innereye_runtime.cli.ui.parser import Parser
from innereye_runtime.cli.ui.terminal import show_error
from innereye_runtime.errors import ExitCode, InnerEyeError

if TYPE_CHECKING:
    from innereye_runtime.targets.base import RunHandle

Ends = queue.SimpleQueue[tuple[str, "int | BaseException"]]


class Arguments(argparse.Namespace):
    runs: list[str]
    json: bool


def parser() -> Parser:
    parser = Parser(
        "wait",
        usage="RUN ... [--json]",
        about="Waits until runs are over, shows the exit code of each and ends with the highest of them. A job in\n"
        "Azure Machine Learning that failed is submitted again where compute.retries of its manifest allows\n"
        "it. Ctrl-C ends the waiting and leaves the runs as they are.",
        examples=[
            'job=$(innereye-run --detach --target azureml manifest.yaml | tail -n 1)\n  innereye-run wait "$job"',
        ],
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help="azureml://..., a run folder, or a name that ps shows")
    parser.add_argument("--json", action="store_true", help="print one JSON list: run, exit_code, error")
    return parser


def run(argv: Sequence[str]) -> int:
    from innereye_runtime.sweep.handle import handle_of

    arguments, _ = parser().read(argv, Arguments())
    handles = {reference: handle_of(reference) for reference in dict.fromkeys(arguments.runs)}
    results: dict[str, dict[str, Any]] = {}
    for reference, end in _ends(handles):
        if isinstance(end, InnerEyeError):
            show_error(end)
            results[reference] = {"run": reference, "exit_code": int(end.exit_code), "error": str(end)}
        elif isinstance(end, BaseException):
            raise end
        else:
            results[reference] = {"run": reference, "exit_code": int(end), "error": None}
        if not arguments.json:
            print(f"{reference}: exit code {results[reference]['exit_code']}", flush=True)
    if arguments.json:
        print(json.dumps([results[reference] for reference in handles], indent=2))
    return max((one["exit_code"] for one in results.values()), default=ExitCode.DONE)


def _ends(handles: dict[str, RunHandle]) -> Any:
    """Each reference and its exit code or error, as they come."""
    ends: Ends = queue.SimpleQueue()

    def wait(reference: str, handle: RunHandle) -> None:
        try:
            ends.put((reference, handle.wait()))
        except BaseException as error:
            ends.put((reference, error))

    for reference, handle in handles.items():
        # Daemons: Ctrl-C ends the command, whatever they wait for.
        threading.Thread(target=wait, args=(reference, handle), daemon=True).start()
    for _ in handles:
        yield ends.get()
