"""A container with parameters that are called like options."""

import param

from innereye_runtime import LightningContainer


class Hidden(LightningContainer):
    target: str = param.String("liver", doc="The organ.")
    smoke: bool = param.Boolean(False, doc="Whether the patient smokes.")
