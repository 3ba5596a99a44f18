"""`python -m azureml_emulator`: the same as `azureml-emulator`."""

from __future__ import annotations

import sys

from azureml_emulator.cli import main

if __name__ == "__main__":
    sys.exit(main())
