"""One trial as a shell loop starts it: `python trial.py LR FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

from bench_sweep import train

train(float(sys.argv[1]), Path(sys.argv[2]))
