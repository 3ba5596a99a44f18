"""What of the toolbox and of its successor is not here, and what to use instead."""

from __future__ import annotations

from typing import Final

_SEGMENTATION: Final = (
    "the built-in segmentation models are out of scope: write a LightningContainer around a model of MONAI or nnU-Net "
    "(innereye_runtime.examples.brain_segmentation shows one)"
)
_SSL: Final = (
    "the built-in self-supervised models are out of scope: write a LightningContainer around a model of lightly or "
    "solo-learn"
)
_CLASSIFICATION: Final = (
    "the built-in scalar and sequence models are out of scope: write a LightningContainer with a module of your own, "
    "or one of torchvision or MONAI"
)
_SUBMITTING: Final = "jobs are submitted by innereye-run --target azureml, and described by a manifest"
_REFUSED: Final = {
    "InnerEye.ML.SSL": _SSL,
    "InnerEye.ML.configs.ssl": _SSL,
    "InnerEye.ML.config": _SEGMENTATION,
    "InnerEye.ML.configs.segmentation": _SEGMENTATION,
    "InnerEye.ML.models.architectures": _SEGMENTATION,
    "InnerEye.ML.models": _SEGMENTATION,
    "InnerEye.ML.photometric_normalization": _SEGMENTATION,
    "InnerEye.ML.scalar_config": _CLASSIFICATION,
    "InnerEye.ML.sequence_config": _CLASSIFICATION,
    "InnerEye.ML.model_config_base": _SEGMENTATION,
    "InnerEye.ML.configs.classification": _CLASSIFICATION,
    "InnerEye.ML.lightning_models": _SEGMENTATION,
    "InnerEye.ML.run_ml": "innereye-run, or python -m InnerEye.ML.runner, runs a container",
    "InnerEye.ML.utils.model_util": "a model is created by the container's create_model",
    "InnerEye.ML.utils.ml_util": "pytorch_lightning.seed_everything seeds; the runtime does so before setup",
    "InnerEye.ML.reports": "create_report writes a report of your own, add_figure puts figures into report.html",
    "InnerEye.Azure": _SUBMITTING,
    "health_ml.networks": "write the network with torchvision, timm or MONAI",
    "health_ml.data": "write a LightningDataModule",
    "health_ml.run_ml": "innereye-run, or python -m health_ml.runner, runs a container",
    "health_ml.utils.regression_test_utils": "regression_test_folder compares the run folder with expected outputs",
    "health_ml.utils.reports": "create_report writes a report of your own, add_figure puts figures into report.html",
    "health_ml.utils.bag_utils": "write the sampling of bags in the data module, or use MONAI",
    "health_ml": "of hi-ml, only the modules that containers import are provided: see docs/migration.md",
    "health_azure": _SUBMITTING,
    "health": "of hi-ml, only health_ml and health_azure are provided: see docs/migration.md",
    "health_cpath": "hi-ml-cpath is out of scope: write a LightningContainer with MONAI",
    "health_multimodal": "hi-ml-multimodal is a package of its own: pip install hi-ml-multimodal",
    "InnerEye": "of the toolbox, only the modules that containers import are provided: "
    "InnerEye.ML.lightning_container, InnerEye.ML.common, InnerEye.ML.deep_learning_config, "
    "InnerEye.Common; see docs/migration.md",
}
"""What to use in place of a module and of all that is below it."""


def instead_of(module: str) -> str:
    """What to use in place of `module`; '' for one that is neither the toolbox's nor its successor's."""
    parts = module.split(".")
    names = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((_REFUSED[name] for name in names if name in _REFUSED), "")


def refused() -> dict[str, str]:
    """Every module that is refused by its name, and what to use instead."""
    return dict(_REFUSED)
