"""What was meant by a name that is no parameter: another parameter, a key of the manifest, a Trainer argument, or an
attribute of the class that was never declared."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from innereye_runtime.introspection.static.class_reader import Attribute, ClassSource
from innereye_runtime.parameters.parameter import Parameter

if TYPE_CHECKING:
    from innereye_runtime.introspection.static.signatures import Signature

_MANIFEST_KEYS: Final = {
    **dict.fromkeys(("gpu", "gpus", "use_gpu", "devices", "accelerator"), "compute.gpus"),
    **{name: f"compute.{name}" for name in ("processes", "nodes", "shm_size", "max_duration")},
    "cluster": "compute.azureml.cluster",
    "num_nodes": "compute.nodes",
    "output_folder": "outputs.folder",
    "outputs": "outputs.folder",
}
"""What people look for among the parameters, and where it stands."""

TRAINER_ARGUMENTS: Final = frozenset(
    (
        "accumulate_grad_batches",
        "benchmark",
        "check_val_every_n_epoch",
        "detect_anomaly",
        "deterministic",
        "enable_autolog_hparams",
        "enable_model_summary",
        "gradient_clip_algorithm",
        "gradient_clip_val",
        "inference_mode",
        "limit_predict_batches",
        "limit_test_batches",
        "limit_train_batches",
        "limit_val_batches",
        "log_every_n_steps",
        "logger",
        "max_steps",
        "max_time",
        "min_epochs",
        "min_steps",
        "model_registry",
        "num_sanity_val_steps",
        "overfit_batches",
        "plugins",
        "precision",
        "profiler",
        "reload_dataloaders_every_n_epochs",
        "strategy",
        "sync_batchnorm",
        "use_distributed_sampler",
        "val_check_interval",
    )
)
"""Those that a manifest may set, under `trainer.arguments`; of the version that constraints.txt names."""

_LIGHTNING_ATTRIBUTES: Final = (
    "allow_zero_length_dataloader_with_multiple_devices",
    "automatic_optimization",
    "example_input_array",
    "prepare_data_per_node",
    "strict_loading",
)
"""Of modules and data modules, those that a user's class sets and Lightning reads."""

_KINDS: Final = {"True": "Boolean", "False": "Boolean"}


def hint_for_unknown(
    name: str,
    parameters: Mapping[str, Parameter],
    attributes: Mapping[str, Attribute],
    *,
    written: str = "",
) -> str:
    """What to write in place of `name`; '' where nothing is near. `written`: its value on the command line, with the
    `=`."""
    names = [parameter.name for parameter in parameters.values() if parameter.settable]
    for key in (_MANIFEST_KEYS.get(name), f"trainer.arguments.{name}" if name in TRAINER_ARGUMENTS else None):
        if key is not None:
            return f"write --set {key}{written}" if written else f"'{key}' of the manifest says that"
    if (attribute := attributes.get(name)) is not None:
        return (
            f"{name} is a plain attribute ({attribute.place}); "
            f"declare it as a parameter: {name} = {_declaration(attribute.value)}"
        )
    last = name.rpartition(".")[2]
    near = [known for known in names if known.rpartition(".")[2] == last] or _near(name, names)
    near = near or [known for known in names if name in known.split("_")]
    near = near or [known for known in names if name == _init_values(known)]
    return f"did you mean '{near[0]}'?" if near else ""


def near_parameters(found: ClassSource) -> Iterator[tuple[str, str]]:
    """Message and hint for each attribute that the class sets and never reads, and whose name is nearly that of a
    parameter."""
    names = [name for name, parameter in found.parameters.items() if parameter.settable]
    for name, attribute in found.attributes.items():
        near = [] if attribute.is_read else _near(name, names, 0.85)
        if near and name not in found.methods:
            message = f"{attribute.place}: {found.name} sets '{name}', which is not a parameter, and never reads it"
            yield message, f"did you mean '{near[0]}'?"


def near_arguments(found: Signature) -> Iterator[tuple[str, str]]:
    """Message and hint for each attribute that a module sets and never reads, and whose name is nearly that of an
    argument or of an attribute of Lightning that it does not set. One that is made of this argument is only another
    name for it, unless the class reads it by the argument's name."""
    names = [name for name in (*found.parameters, *_LIGHTNING_ATTRIBUTES) if name not in found.attributes]
    for name, attribute in found.attributes.items():
        near = [] if attribute.is_read or name in found.methods else _near(name, names, 0.85)
        if not near or name in found.parameters:
            continue
        if near[0] in found.reads or near[0] not in re.findall(r"\w+", attribute.value):
            what = "one of its arguments" if near[0] in found.parameters else "an attribute of Lightning"
            owner = found.location.class_name
            message = f"{attribute.place}: {owner} sets '{name}', which is not {what}, and never reads it"
            yield message, f"did you mean '{near[0]}'?"


def _near(name: str, names: Sequence[str], cutoff: float = 0.6) -> list[str]:
    from difflib import get_close_matches  # validate is quick

    return get_close_matches(name, names, 1, cutoff=cutoff)


def _declaration(value: str) -> str:
    """The `param` declaration with the plain `value` as its default."""
    kind = _KINDS.get(value)
    if kind is None:
        digits = value.lstrip("-").replace("_", "")
        is_text = value[:1] in "'\""
        kind = (
            "String"
            if is_text
            else "Integer"
            if digits.isdigit()
            else "Number"
            if digits[:1].isdigit()
            else "Parameter"
        )
    return f"param.{kind}(default={value})"


def _init_values(name: str) -> str:
    return "".join(word[:1] for word in name.split("_"))
