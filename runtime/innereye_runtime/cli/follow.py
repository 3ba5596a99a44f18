"""The process that follows a job which another program submitted in it: `handover` begins it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from innereye_runtime.cli.ui.terminal import run_with_error_handling


def main(argv: Sequence[str]) -> int:
    """The exit code of the job that `HandoverError.argument` describes."""
    return run_with_error_handling(lambda: follow(**json.loads(argv[0])))


def follow(*, target: str, job: str, as_json: bool, report: dict[str, Any] | None) -> int:
    from innereye_runtime.cli.commands.run import conclude
    from innereye_runtime.cli.ui.ci_report import CIReport, reported
    from innereye_runtime.targets.base import ReattachingTarget
    from innereye_runtime.targets.registry import get_target

    reattaching = get_target(target)
    assert isinstance(reattaching, ReattachingTarget)
    handle = reattaching.reattach(job, stdout=2 if as_json else 1)
    if report is None:
        return conclude(handle, handle.wait, as_json=as_json)
    return reported(
        lambda ended: conclude(handle, handle.wait, as_json=as_json, ended=ended),
        CIReport(**report),
        as_json=as_json,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
