"""Every public name of the toolbox's and its successor's container API, and what it does here, as a table."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

from innereye_runtime.api.container import LightningContainer
from innereye_runtime.api.inference import InnerEyeInference
from innereye_runtime.api.module import LightningModuleWithOptimizer
from innereye_runtime.compat import innereye_cli
from innereye_runtime.compat.refused import refused
from innereye_runtime.parameters.from_class import parameters_of

MODULES: Final = (
    "InnerEye.Azure.azure_config",
    "InnerEye.Azure.azure_util",
    "InnerEye.Common.common_util",
    "InnerEye.Common.fixed_paths",
    "InnerEye.Common.generic_parsing",
    "InnerEye.Common.type_annotations",
    "InnerEye.ML.common",
    "InnerEye.ML.deep_learning_config",
    "InnerEye.ML.lightning_container",
    "InnerEye.ML.utils.run_recovery",
    "InnerEye.ML.utils.split_dataset",
    "health_azure",
    "health_azure.utils",
    "health_ml.deep_learning_config",
    "health_ml.experiment_config",
    "health_ml.lightning_container",
    "health_ml.utils",
    "health_ml.utils.checkpoint_utils",
    "health_ml.utils.common_utils",
    "health_ml.utils.diagnostics",
    "health_ml.utils.logging",
    "health_ml.utils.type_annotations",
)
_HERE_ONLY: Final = ("checkpoint_monitor", "ensemble_average", "inference_forward")
_RULED: Final = {
    "run_inference_only": "skips training, and tests; hi-ml validated first, which `run_extra_val_epoch` asks for here",
    "number_of_cross_validation_splits": "without an index, a run for each split",
    "ensemble_inference_on_train_set": "true: the run of all folds ends with their ensemble, on the training set too",
    "ensemble_inference_on_val_set": "true: the run of all folds ends with their ensemble, on the validation set too",
    "ensemble_inference_on_test_set": "unset: yes, where `cross_validation.ensemble` asks for one; true asks for it",
    "crossval_count": "as `number_of_cross_validation_splits`",
    "different_seeds": "above 1, exit code 2: start a run for each `random_seed`",
    "model_id": "an input of the job on `azureml`; elsewhere refused: download it, and name `local_weights_path`",
    "pretraining_run_recovery_id": "refused at the start of training: `src_checkpoint=RUN:best.ckpt` takes a run's",
    "dataset_mountpoint": "a bind in Docker, a link elsewhere; where neither can be, the job is refused",
    "extra_dataset_mountpoints": "as `dataset_mountpoint`",
    "dataset_mountpoints": "as `dataset_mountpoint`",
    "output_to": "the folder in which a new run folder is made; from `setup` on, the run folder itself",
    "max_num_gpus_inference": "accepted; evaluation runs on one process, so that its numbers depend on nothing else",
    "max_num_gpus": "at most so many of the GPUs that the manifest, or the command line, asks for",
    "monitor_gpu": "Lightning's DeviceStatsMonitor",
    "monitor_training": "as `monitor_loading`",
    "experiment": "of AzureML, where the manifest names none",
    "datastore": "of AzureML, where the manifest names none",
    "tag": "the tag `tag` of a job in AzureML",
    "pretraining_run_checkpoints": "None: weights that parameters name are loaded by the runtime",
    "update_azure_config": "called when a job is submitted to AzureML; a change that can't be made is refused by name",
    "update_experiment_config": "as `update_azure_config`",
    "get_additional_aml_run_tags": "called when a job is submitted to AzureML; tags of the manifest win",
    "get_parameter_tuning_args": "not called, which the log says: start a run for each set of parameters",
    "get_parameter_search_hyperdrive_config": "not called, which the log says: start a run for each set of parameters",
    "AzureMLLogger": "does nothing: the runtime sends metrics to AzureML by itself",
    "AzureMLProgressBar": "does nothing: each epoch is a line of the log",
    "BatchTimeCallback": "logs mean and longest batch, and the epoch",
    "CheckpointParser": "text, which `src_checkpoint` takes; a run is one by its folder",
    "submit_to_azure_if_needed": "says where data lies; submitting a script is refused: make it a container",
    "AzureRunInfo": "its `run` is None",
    "DatasetSplits": "without groups and institutions; subjects are shuffled by Python's generator",
    "RunRecovery": "`checkpoints_roots` and the two lists of paths",
}
"""Names that are here and do something else than they did, and what."""
_NOT_HERE: Final = {
    "hyperdrive": "write 'sweep' into a manifest",
    "get_parameter_tuning_config": "write 'sweep' into a manifest",
    "get_hyperdrive_config": "write 'sweep' into a manifest",
    "get_crossval_hyperdrive_config": "write 'cross_validation: {splits: 5}' into a manifest",
    "get_different_seeds_hyperdrive_config": "start a run for each `random_seed`",
    "log_from_vm": "give the trainer a logger of your own",
    "create_filesystem": "the run folder is there before `setup` is called",
    "file_system_config": "`outputs_folder`, `logs_folder` and `checkpoint_folder`",
    "trained_weights_path": "`src_checkpoint`",
    "load_checkpoint_and_modify": "load weights in `create_model`",
    "read_dataset_if_needed": "read it in `setup`, from `local_dataset`",
}
"""Members of either container that are not here, and what to write instead."""
_REFUSED_NAMES: Final = {
    "regression_metrics": "exit code 2: `regression_test_folder` with a metrics.json compares them"
}


@dataclass(frozen=True, slots=True, order=True)
class Row:
    name: str
    here: str
    """same, ruled otherwise, refused, or new."""
    note: str


def table() -> str:
    """The tables as Markdown."""
    sections: Mapping[str, Iterator[Row]] = {
        "Modules and their names": _names(),
        "Parameters of a container": _parameters(),
        "Methods and properties of a container": _members(LightningContainer),
        "Methods of `InnerEyeInference`": _members(InnerEyeInference),
        "Methods of `LightningModuleWithOptimizer`": _members(LightningModuleWithOptimizer),
        "Members of either container that are not here": _not_here(),
        "Options of the old command line": _options(),
        "Modules that are refused by name": _refused(),
    }
    return "\n".join(_section(title, rows) for title, rows in sections.items())


def _section(title: str, rows: Iterator[Row]) -> str:
    lines = [f"| `{row.name}` | {row.here} | {row.note} |" for row in rows]
    return "\n".join([f"### {title}", "", "| name | status | what it does |", "|---|---|---|", *lines, ""])


def _names() -> Iterator[Row]:
    for module in MODULES:
        for name in import_module(module).__all__:
            yield _row(f"{module}.{name}", name, _first_sentence(getattr(import_module(module), name)))


def _parameters() -> Iterator[Row]:
    for name, parameter in sorted(parameters_of(LightningContainer).items()):
        if parameter.settable:
            yield _row(name, name, parameter.doc)


def _members(cls: type) -> Iterator[Row]:
    parameters = parameters_of(LightningContainer)
    ours = [base for base in cls.__mro__ if base.__module__.startswith("innereye_runtime.")]
    found = {name: value for base in reversed(ours) for name, value in vars(base).items()}
    for name, value in sorted(found.items()):
        described = inspect.isfunction(value) or isinstance(value, property | classmethod) or name in _RULED
        if not name.startswith("_") and name not in parameters and described and name != "param":
            yield _row(name, name, _first_sentence(getattr(cls, name)))


def _not_here() -> Iterator[Row]:
    for name, instead in sorted(_NOT_HERE.items()):
        yield Row(name, "refused", instead)


def _options() -> Iterator[Row]:
    for name, why in sorted(innereye_cli.no_action().items()):
        yield Row(f"--{name}", "accepted", why)
    for name, instead in sorted(innereye_cli.elsewhere().items()):
        yield Row(f"--{name}", "refused", instead)


def _refused() -> Iterator[Row]:
    for module, instead in sorted(refused().items()):
        yield Row(module, "refused", instead)


def _row(shown: str, name: str, doc: str) -> Row:
    if name in _REFUSED_NAMES:
        return Row(shown, "refused", _REFUSED_NAMES[name])
    if name in _RULED:
        return Row(shown, "ruled otherwise", _RULED[name])
    return Row(shown, "new" if name in _HERE_ONLY else "same", doc.replace("|", "or"))


def _first_sentence(value: Any) -> str:
    if isinstance(value, str | int | float):
        return f"`{value}`"
    text = inspect.getdoc(value) if inspect.isfunction(value) or isinstance(value, type | property) else ""
    text = text or (inspect.getdoc(value) if inspect.ismethod(value) else "") or ""
    joined = re.sub(r"\s+", " ", text.split("\n\n")[0])
    return re.split(r"(?<=[.:]) (?=[A-Z])", joined)[0]
