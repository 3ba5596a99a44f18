"""The same study by Hydra: `python hydra_trials.py --multirun hydra/launcher=joblib lr=...`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hydra
from bench_sweep import train
from hydra.core.hydra_config import HydraConfig


@hydra.main(version_base=None, config_path=None)
def main(config: Any) -> None:
    train(config.lr, Path(HydraConfig.get().runtime.output_dir))


main()
