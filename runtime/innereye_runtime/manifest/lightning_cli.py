"""The words of a configuration of LightningCLI, for who brings one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

WRITTEN_HERE: Final[Mapping[str, str]] = {
    "class_path": "write 'class: package.module:ClassName', with a colon before the name of the class",
    "init_args": "write 'args', and in them {class: ..., args: {...}} for an object",
    "seed_everything": "write 'container: {args: {random_seed: 42}}'",
    "ckpt_path": "write 'container: {args: {src_checkpoint: PATH}}'; a run that was stopped: innereye-run resume RUN",
    "optimizer": "make it in the model's configure_optimizers, from arguments of the model",
    "lr_scheduler": "make it in the model's configure_optimizers, from arguments of the model",
}
"""Each key, and how it is written in a manifest."""
