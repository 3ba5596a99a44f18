"""`python -m tests.training.ranks_of_lightning FOLDER [EPOCH BATCH]`: trains there, and is stopped there.

Lightning starts the second process itself.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

from tests.training.harness import train
from tests.training.several_processes import BY_LIGHTNING, Break, container

from innereye_runtime.training.lifecycle.signals import StopRequested, stop_on_signals

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    folder, *place = sys.argv[1:]
    stop = [Break(int(place[0]), int(place[1]), ranks=(0,))] if place else []
    try:
        with stop_on_signals():
            train(container(BY_LIGHTNING, *stop), Path(folder))
    except StopRequested as stopped:
        sys.exit(stopped.exit_code)
