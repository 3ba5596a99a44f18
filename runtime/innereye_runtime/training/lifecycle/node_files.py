"""What the ranks of other nodes wrote, where each node has a run folder of its own."""

from __future__ import annotations

import pytorch_lightning as pl

from innereye_runtime.training.lifecycle.run import Run


def share_files(run: Run, trainer: pl.Trainer) -> None:
    """The first node has the files of the others when this returns in its first rank; called by all ranks together."""
    if run.job.manifest.compute.nodes == 1:
        return
    trainer.strategy.barrier()
    if not run.ranks.is_first:
        run.stage()
    trainer.strategy.barrier()
    if run.staging is not None and run.ranks.is_first:
        run.staging.collect()
