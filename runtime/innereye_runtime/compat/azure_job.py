"""The simple form of hi-ml's `submit_to_azure_if_needed`, for a script that runs where it was started."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from innereye_runtime.api.members import is_running_in_azure_ml
from innereye_runtime.errors import UsageError


@dataclass
class DatasetConfig:
    """A dataset of a script: its name in Azure, and where it lies."""

    name: str
    datastore: str = ""
    overwrite_existing: bool = True
    version: int | None = None
    use_mounting: bool | None = None
    target_folder: Path | str | None = None
    local_folder: Path | str | None = None

    def __post_init__(self) -> None:
        """Raises ValueError for an empty name."""
        if not self.name:
            raise ValueError("a dataset must have a name")


@dataclass
class AzureRunInfo:
    """Where a script finds its data, and where it writes."""

    input_datasets: list[Path | None] = field(default_factory=list)
    output_datasets: list[Path | None] = field(default_factory=list)
    mount_contexts: list[Any] = field(default_factory=list)
    run: Any = None
    is_running_in_azure_ml: bool = False
    output_folder: Path = Path("outputs")
    logs_folder: Path = Path("logs")


def submit_to_azure_if_needed(
    compute_cluster_name: str = "",
    *_: Any,
    input_datasets: Sequence[str | DatasetConfig] | None = None,
    output_datasets: Sequence[str | DatasetConfig] | None = None,
    submit_to_azureml: bool | None = None,
    **__: Any,
) -> AzureRunInfo:
    """Where the script's data lies, on this machine or in a job in Azure.

    Raises:
        UsageError: the script is to be submitted (`submit_to_azureml=True`, or `--azureml` on its command line): a job
            is submitted by `innereye-run`.
    """
    inside = is_running_in_azure_ml()
    wanted = "--azureml" in sys.argv[1:] if submit_to_azureml is None else submit_to_azureml
    if wanted and not inside:
        raise UsageError(
            "submit_to_azure_if_needed submits no script here",
            hint="make the script a LightningContainer, and submit it by innereye-run --target azureml MANIFEST, "
            "or by python -m InnerEye.ML.runner --model=CLASS --azureml",
        )
    inputs = [_folder("INPUT", index, dataset, inside) for index, dataset in enumerate(input_datasets or ())]
    outputs = [_folder("OUTPUT", index, dataset, inside) for index, dataset in enumerate(output_datasets or ())]
    return AzureRunInfo(input_datasets=inputs, output_datasets=outputs, is_running_in_azure_ml=inside)


def _folder(kind: str, index: int, dataset: str | DatasetConfig, inside: bool) -> Path | None:
    config = DatasetConfig(dataset) if isinstance(dataset, str) else dataset
    if inside:
        names = (f"AZURE_ML_{kind}_dataset_{index}", f"AZURE_ML_{kind}_{kind}_{index}", f"{kind}_{index}")
        given = next((os.environ[name] for name in names if os.environ.get(name)), config.target_folder)
        return Path(given) if given else None
    return Path(config.local_folder) if config.local_folder else None
