"""The old command line: `python -m InnerEye.ML.runner --model=X [--model_configs_namespace=N] [--azureml=True]
[--l_rate=1e-2]`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from innereye_runtime.containers.old_command_line import translate


def main(argv: Sequence[str]) -> int:
    """The exit code of the run that `argv` asks for, in the words of the seed system."""
    from innereye_runtime.cli.run import run_manifest_text

    command = translate(argv)
    return run_manifest_text(command.text, command.overrides, command.target)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
