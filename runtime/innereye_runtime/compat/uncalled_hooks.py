"""Methods of a container that other systems call and this one does not: said in the log, with what to do instead."""

from __future__ import annotations

import logging
from typing import Final

from innereye_runtime.api.container import LightningContainer

log = logging.getLogger("innereye_runtime")

_ONE_RUN_EACH: Final = "start a run for each set of parameters, as in innereye-run MANIFEST --l_rate=1e-2"
_REMEDIES: Final = {
    "get_parameter_search_hyperdrive_config": _ONE_RUN_EACH,
    "get_parameter_tuning_args": _ONE_RUN_EACH,
}


def warn_uncalled_hooks(container: LightningContainer) -> None:
    """Says which of the methods above the container overrides in vain."""
    for name, remedy in _REMEDIES.items():
        if getattr(type(container), name) is not getattr(LightningContainer, name):
            log.warning("warning: %s.%s() is not called here; %s", type(container).__name__, name, remedy)
