"""`OutputParams`: where a run writes. The runtime sets `output_to` to the run folder before `setup` is called."""

from __future__ import annotations

from pathlib import Path

import param

from innereye_runtime.api.params.generic_config import GenericConfig


class OutputParams(GenericConfig):
    """The run folder and the folders in it."""

    output_to = param.String(
        "", doc="Folder in which a new run folder is made; '': that of the manifest. From setup on, the run folder."
    )

    _model_name: str = ""

    @property
    def model_name(self) -> str:
        """The class's name, unless another one was set."""
        return self._model_name or type(self).__name__

    @model_name.setter
    def model_name(self, name: str) -> None:
        self._model_name = name

    @property
    def outputs_folder(self) -> Path:
        """The run folder."""
        return Path(self.output_to) if self.output_to else Path.cwd()

    @property
    def run_folder(self) -> Path:
        return self.outputs_folder

    @property
    def logs_folder(self) -> Path:
        return self.outputs_folder / "logs"

    @property
    def checkpoint_folder(self) -> Path:
        return self.outputs_folder / "checkpoints"

    @property
    def visualization_folder(self) -> Path:
        return self.outputs_folder / "visualizations"
