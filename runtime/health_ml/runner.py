"""The command line of `InnerEye.ML.runner` under its name in hi-ml: `python -m health_ml.runner --model=X`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence


def main(argv: Sequence[str]) -> int:
    """The exit code of the run that `argv` asks for, in the words of hi-ml, or of the toolbox."""
    from innereye_runtime.cli.commands.run import run_old_command

    return run_old_command(argv, successor=True)


if __name__ == "__main__":
    if sys.path[0] == os.path.dirname(os.path.abspath(__file__)):  # noqa: PTH100, PTH120
        # Started as a file: the user's modules are found from the working directory, and not beside this one.
        sys.path[0] = os.getcwd()  # noqa: PTH109
    sys.exit(main(sys.argv[1:]))
