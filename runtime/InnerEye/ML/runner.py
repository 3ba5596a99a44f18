"""The old command line: `python -m InnerEye.ML.runner --model=X [--model_configs_namespace=N] [--azureml=True]
[--l_rate=1e-2]`."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(argv: Sequence[str]) -> int:
    """The exit code of the run that `argv` asks for, in the words of the seed system."""
    from innereye_runtime.cli.commands.run import run_old_command

    return run_old_command(argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
