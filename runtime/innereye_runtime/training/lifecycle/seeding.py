"""Where randomness comes from: one seed for a run, and from it one for each later epoch and for inference.

Such a phase starts from a state that follows from the run's seed and the phase's name alone, so a run that is restarted
there draws the same numbers as one that was never broken, whatever either drew before.
"""

from __future__ import annotations

import hashlib
import os
import random


def seed_run(seed: int) -> None:
    """Seeds Python, NumPy and PyTorch, and through Lightning each worker of a data loader."""
    from lightning_fabric.utilities.seed import seed_everything

    # cuBLAS reads this when it starts; without it a deterministic GPU run raises, and only where nobody has set it.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    seed_everything(seed, workers=True, verbose=False)


def seed_phase(seed: int, phase: str) -> None:
    """Seeds Python, NumPy and PyTorch for one phase of a run, such as `epoch 3`. Epoch 0 goes on from `seed_run`."""
    import numpy
    import torch

    value = int.from_bytes(hashlib.sha256(f"{seed}:{phase}".encode()).digest()[:4], "little")
    random.seed(value)
    numpy.random.seed(value)
    torch.manual_seed(value)
