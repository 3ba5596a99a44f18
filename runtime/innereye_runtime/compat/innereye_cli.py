"""The seed system's command line, said as a manifest: its own options become keys, all others are parameters of the
container."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from innereye_runtime.errors import UsageError
from innereye_runtime.parameters.overrides import FALSE, TRUE

_AZUREML: Final = {
    "cluster": "cluster",
    "experiment_name": "experiment",
    "workspace_name": "workspace",
    "subscription_id": "subscription_id",
    "resource_group": "resource_group",
}
_COMPUTE: Final = {"max_run_duration": "max_duration", "docker_shm_size": "shm_size"}
_BOOLEAN: Final = ("azureml", "train", "use_gpu")
_TEXT: Final = ("model", "model_configs_namespace", "num_nodes", *_COMPUTE, *_AZUREML)
REPLACED_FLAGS: Final = {
    "hyperdrive": "start a run for each set of parameters, as in --model=X --l_rate=1e-2",
    "run_recovery_id": "innereye-run resume RUN resumes a run, --src_checkpoint=RUN:best.ckpt loads its weights",
    "only_register_model": "checkpoints and all other outputs of a run are in its run folder",
    "model_variant": "set the variant's parameters themselves, as in --num_layers=7",
    "tag": "write a manifest, with compute.azureml.tags",
}
"""Options of the seed system whose effect comes another way, and which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OldCommand:
    text: str
    """A manifest, as JSON, which is YAML."""
    overrides: list[str]
    target: Literal["azureml"] | None


def translate(argv: Sequence[str]) -> OldCommand:
    """The manifest, overrides and target that an old command line means. `--name value` is `--name=value` there.

    Raises:
        UsageError: there is no `--model`, a word is no option, or a value is not one its option takes.
    """
    options: dict[str, str] = {}
    overrides: list[str] = []
    for word in _joined(argv):
        key, equals, value = word.removeprefix("--").partition("=")
        if key in REPLACED_FLAGS:
            if value.lower() not in FALSE:
                raise UsageError(f"--{key} is an option of the InnerEye toolbox alone", hint=REPLACED_FLAGS[key])
            continue
        if key in _BOOLEAN or key in _TEXT:
            options[key] = value if equals else "true" if key in _BOOLEAN else ""
        else:
            overrides.append(word)
    if not options.get("model"):
        raise UsageError(
            "no model is named", hint="write --model=CLASS, and --model_configs_namespace=MODULE for its module"
        )
    azureml = _boolean(options, "azureml", otherwise=False)
    if not _boolean(options, "train", otherwise=True):
        overrides.append("--run_inference_only=true")
    manifest: dict[str, Any] = {"schema": 1, "container": {"class": options["model"]}}
    if options.get("model_configs_namespace"):
        manifest["container"]["namespaces"] = [options["model_configs_namespace"]]
    compute: dict[str, Any] = {"target": "azureml" if azureml else "process"}
    if _boolean(options, "use_gpu", otherwise=azureml):
        compute["gpus"] = "all"
    if "num_nodes" in options:
        compute["nodes"] = _integer(options["num_nodes"])
    compute |= {key: options[name] for name, key in _COMPUTE.items() if options.get(name)}
    settings = {key: options[name] for name, key in _AZUREML.items() if options.get(name)}
    if settings and azureml:
        compute["azureml"] = settings
    manifest["compute"] = compute
    return OldCommand(text=json.dumps(manifest, indent=2), overrides=overrides, target="azureml" if azureml else None)


def _joined(argv: Sequence[str]) -> list[str]:
    """`--name value` as one word, as the old command line took both."""
    words: list[str] = []
    for word in argv:
        if word.startswith("--"):
            words.append(word)
        elif words and "=" not in words[-1]:
            words[-1] += f"={word}"
        else:
            raise UsageError(f"'{word}' is not an option", hint="write --name=value")
    return words


def _boolean(options: dict[str, str], name: str, *, otherwise: bool) -> bool:
    if name not in options:
        return otherwise
    word = options[name].lower()
    if word not in TRUE | FALSE:
        raise UsageError(f"--{name} must be true or false, not '{options[name]}'")
    return word in TRUE


def _integer(text: str) -> int:
    if not text.isdecimal():
        raise UsageError(f"--num_nodes must be a whole number, not '{text}'")
    return int(text)
