"""Runs each manifest in the working directory, all in this process: PyTorch is imported once. Prints the exit codes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from innereye_runtime.entrypoint import main

if __name__ == "__main__":
    codes = {}
    for manifest in sorted(Path.cwd().glob("*.yaml")):
        _, _, overrides = manifest.read_text().partition("# overrides: ")
        codes[manifest.stem] = main([f"--run-folder=runs/{manifest.stem}", str(manifest), *overrides.split()])
    print(json.dumps(codes), file=sys.__stderr__)
