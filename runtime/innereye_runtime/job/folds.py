"""A container that asks for cross-validation and names no split: all folds, each a run of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from innereye_runtime.introspection.arguments.checker import Argument
from innereye_runtime.manifest.model import Manifest

_COUNT: Final = "number_of_cross_validation_splits"
_INDEX: Final = "cross_validation_split_index"
_ENSEMBLE: Final = tuple(f"ensemble_inference_on_{split}_set" for split in ("train", "val", "test"))
_NAMES: Final = (_COUNT, _INDEX, "crossval_count", "crossval_index")


def with_all_folds(manifest: Manifest, arguments: Mapping[str, Argument]) -> Manifest:
    """`manifest`, with `cross_validation` where the container's parameters ask for several splits and name none."""
    count, index = (arguments[name].value if name in arguments else None for name in (_COUNT, _INDEX))
    if manifest.cross_validation is not None or type(count) is not int or count < 2 or index != -1:
        return manifest
    from innereye_runtime.manifest.sweep import CrossValidation

    args = {name: value for name, value in manifest.container.args.items() if name not in _NAMES}
    ensemble = _wants_ensemble(arguments)
    return replace(
        manifest,
        container=replace(manifest.container, args=args),
        cross_validation=CrossValidation(splits=count, ensemble="outputs" if ensemble else None),
    )


def _wants_ensemble(arguments: Mapping[str, Argument]) -> bool:
    """Whether inference of the ensemble is asked for on a split; what is not set asks for nothing."""
    return any(name in arguments and arguments[name].value is True for name in _ENSEMBLE)
