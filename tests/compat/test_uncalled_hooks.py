from __future__ import annotations

import logging
from typing import Any

import pytest

from innereye_runtime import LightningContainer
from innereye_runtime.compat.uncalled_hooks import warn_uncalled_hooks


class Searching(LightningContainer):
    def set_model_variant(self, variant_name: str) -> None:
        self.num_epochs = 3

    def get_parameter_tuning_args(self) -> dict[str, Any]:
        return {"learning_rate": [1, 2]}

    def get_additional_aml_run_tags(self) -> dict[str, str]:
        return {"a": "b"}


def test_a_method_that_is_overridden_in_vain_is_told_with_the_remedy(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("innereye_runtime").propagate = True
    warn_uncalled_hooks(LightningContainer())
    assert caplog.messages == []
    warn_uncalled_hooks(Searching())
    assert caplog.messages == [
        "warning: Searching.get_parameter_tuning_args() is not called here; "
        "start a run for each set of parameters, as in innereye-run MANIFEST --l_rate=1e-2",
    ]
