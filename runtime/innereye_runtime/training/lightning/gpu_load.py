"""How busy GPUs are, as nvidia-smi has it: read from the driver, without waiting for what they compute."""

from __future__ import annotations

import time
from statistics import fmean

import torch

_SECONDS = 1.0
"""Between two samples: the driver's own value is over a period of up to a second."""


def gpu_load(index: int) -> float | None:
    """The percentage of the last moments in which the GPU computed; None where that can't be read: without
    nvidia-ml-py, on a part of a GPU, in a container without the driver's tools.
    """
    try:
        return float(torch.cuda.utilization(index))
    except Exception:  # of a library and a driver that need not be there, each with errors of its own
        return None


class GpuLoad:
    """The mean load of one GPU, of samples that are taken at most once a second, where there is time to."""

    def __init__(self) -> None:
        self._samples: list[float] = []
        self._sampled = 0.0
        self._can_read = True

    def sample(self, device: torch.device) -> None:
        now = time.monotonic()
        if device.type != "cuda" or not self._can_read or now - self._sampled < _SECONDS:
            return
        self._sampled = now
        load = gpu_load(device.index or 0)
        if load is None:
            self._can_read = False  # nor will it be in a second
        else:
            self._samples.append(load)

    def take_mean(self) -> float | None:
        """That since the last call; None without a sample."""
        samples, self._samples = self._samples, []
        return fmean(samples) if samples else None
