"""How the checkpoints of a run folder are called."""

from __future__ import annotations

from typing import Final

ARGS_TXT: Final = "args.txt"
CHECKPOINT_FOLDER: Final = "checkpoints"
DATASET_CSV_FILE_NAME: Final = "dataset.csv"
CHECKPOINT_SUFFIX: Final = ".ckpt"
BEST_CHECKPOINT_FILE_NAME: Final = "best"
BEST_CHECKPOINT_FILE_NAME_WITH_SUFFIX: Final = BEST_CHECKPOINT_FILE_NAME + CHECKPOINT_SUFFIX
LAST_CHECKPOINT_FILE_NAME: Final = "last"
LAST_CHECKPOINT_FILE_NAME_WITH_SUFFIX: Final = LAST_CHECKPOINT_FILE_NAME + CHECKPOINT_SUFFIX
