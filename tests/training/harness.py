"""`steps.train` on a container, in this process: what the entrypoint does, without its folder, record and signals."""

from __future__ import annotations

import math
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pytorch_lightning.callbacks import Callback

from innereye_runtime import LightningContainer
from innereye_runtime.job.ranks import Ranks
from innereye_runtime.run.paths import RunPaths
from innereye_runtime.training.lifecycle import steps


class Killed(BaseException):
    pass


class KillAt(Callback):
    """Stands in for a hard kill: leaves training at a batch of an epoch, after which nothing more is saved."""

    def __init__(self, epoch: int, batch: int) -> None:
        self.epoch, self.batch = epoch, batch

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if (trainer.current_epoch, batch_idx) == (self.epoch, self.batch):
            raise Killed


def train(
    container: LightningContainer,
    folder: Path,
    *,
    epochs_from: str = "class",
    smoke: bool = False,
    every: float = math.inf,
) -> steps.TrainingResult:
    """What training leaves in `folder`; one that has a run goes on with it. `epochs_from`: the origin of num_epochs.
    `every`: seconds between two checkpoints in an epoch."""
    paths = RunPaths(folder)
    for each in (paths.root, paths.checkpoints, paths.logs):
        each.mkdir(parents=True, exist_ok=True)
    compute = SimpleNamespace(gpus="none", nodes=1, processes=None)
    manifest = SimpleNamespace(compute=compute, trainer=SimpleNamespace(arguments={}, checkpoint_seconds=every))
    before = Path.cwd()
    run: Any = SimpleNamespace(
        job=SimpleNamespace(cwd=before, smoke=smoke, manifest=manifest, direct=None),
        paths=paths,
        record=SimpleNamespace(
            id=folder.name,
            seed=0,
            attempts=[SimpleNamespace(host="here", started="now")],
            attempt=SimpleNamespace(number=1, resumed_from=None, epoch=0, notes=[], because=[]),
            container={},
            arguments={"num_epochs": {"value": container.num_epochs, "origin": epochs_from}},
        ),
        ranks=Ranks.from_environment(os.environ),
        write=lambda: None,
        stage=lambda: None,
    )
    container.output_to = str(folder)
    os.chdir(folder)
    try:
        return steps.train(run, container, None)
    finally:
        os.chdir(before)
