"""Several datasets, their mount points, and data that `prepare_data` fetches."""

from pathlib import Path
from typing import List  # noqa: UP035

from pytorch_lightning import LightningDataModule, LightningModule

from InnerEye.ML.lightning_container import LightningContainer

from ._common import Line, LineModel


class Fetched(Line):
    def __init__(self, folders: List[Path]) -> None:  # noqa: UP006
        super().__init__()
        self.folders = folders

    def prepare_data(self) -> None:
        Path("fetched.txt").write_text("\n".join(str(folder) for folder in self.folders))

    def setup(self, stage: str) -> None:
        assert Path("fetched.txt").exists()


class SeveralDatasets(LightningContainer):
    local_dataset = "/data/first"

    def __init__(self) -> None:
        super().__init__(
            azure_dataset_id="first",
            extra_azure_dataset_ids=["second", "third"],
            extra_local_dataset_paths=[Path("/data") / "second", Path("/data/third")],
        )
        self.dataset_mountpoint = "/mnt/first"
        self.extra_dataset_mountpoints = ["/mnt/second", "/mnt/third"]
        self.num_epochs = 2

    def create_model(self) -> LightningModule:
        return LineModel()

    def get_data_module(self) -> LightningDataModule:
        return Fetched([self.local_dataset, *self.extra_local_dataset_paths])
