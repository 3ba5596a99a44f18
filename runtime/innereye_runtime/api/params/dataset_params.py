"""`DatasetParams`: where a container's datasets lie, on this machine and in Azure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import param

from innereye_runtime.api.params.generic_config import GenericConfig
from innereye_runtime.parameters import constraints
from innereye_runtime.parameters.types import PathList, PathParameter, SplitList


class DatasetParams(GenericConfig):
    """The first dataset and any further ones. A container without a dataset is fine; paths may be given as text."""

    azure_dataset_id = param.String(
        "", doc="The dataset in Azure: a data asset or a folder of the datastore; '': none."
    )
    local_dataset = PathParameter(None, allow_None=True, doc="Folder of the dataset on this machine; unset: none.")
    extra_azure_dataset_ids = param.List(
        [], item_type=str, doc="Further datasets in Azure, in the order of their paths."
    )
    extra_local_dataset_paths = PathList([], doc="Folders of the further datasets on this machine.")
    dataset_mountpoint = param.String(
        "", doc="Absolute path where the dataset is bound or linked; '': a folder that the target chooses."
    )
    extra_dataset_mountpoints = param.List(
        [], item_type=str, doc="Absolute paths where the further datasets are bound or linked."
    )
    azure_datasets = SplitList(
        first="azure_dataset_id", rest="extra_azure_dataset_ids", doc="All datasets in Azure, the first one first."
    )
    local_datasets = SplitList(
        first="local_dataset",
        rest="extra_local_dataset_paths",
        doc="Folders of all datasets on this machine, the first one first.",
    )
    dataset_mountpoints = SplitList(
        first="dataset_mountpoint",
        rest="extra_dataset_mountpoints",
        doc="Absolute paths where all datasets are bound or linked.",
    )

    def validate(self) -> None:
        super().validate()
        constraints.enforce(self, constraints.DATASETS)

    def all_azure_dataset_ids(self) -> list[str]:
        """The ids of all datasets in Azure, without empty ones."""
        return [dataset for dataset in self._list("azure_datasets") if dataset]

    def all_dataset_mountpoints(self) -> list[str]:
        """Where all datasets are mounted in Azure, without empty ones."""
        return [mountpoint for mountpoint in self._list("dataset_mountpoints") if mountpoint]

    def all_local_dataset_paths(self) -> list[Path]:
        """The folders of all datasets on this machine."""
        return self._list("local_datasets")

    def _list(self, name: str) -> list[Any]:
        return list(getattr(self, name))
