"""The seed system's command line, said as a manifest: its own options become keys, all others are parameters of the
container."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from innereye_runtime.diagnostics.diagnostic import Diagnostic, Span
from innereye_runtime.errors import UsageError
from innereye_runtime.parameters.overrides import FALSE, TRUE

_AZUREML: Final = {
    "cluster": "cluster",
    "experiment_name": "experiment",
    "workspace_name": "workspace",
    "subscription_id": "subscription_id",
    "resource_group": "resource_group",
    "azureml_datastore": "datastore",
}
_COMPUTE: Final = {"max_run_duration": "max_duration", "docker_shm_size": "shm_size"}
_KEYS: Final = {"model": "class", "model_configs_namespace": "namespaces", "azureml": "target", "use_gpu": "gpus"} | {
    "num_nodes": "nodes",
    **_COMPUTE,
    **_AZUREML,
}
"""The manifest's key for an option."""
_BOOLEAN: Final = ("azureml", "train", "use_gpu")
_TEXT: Final = ("model", "model_configs_namespace", "num_nodes", *_COMPUTE, *_AZUREML)
REPLACED_FLAGS: Final = {
    "hyperdrive": "start a run for each set of parameters, as in --model=X --l_rate=1e-2",
    "run_recovery_id": "innereye-run resume RUN resumes a run, --src_checkpoint=RUN:best.ckpt loads its weights",
    "only_register_model": "checkpoints and all other outputs of a run are in its run folder",
    "pytest_mark": "run pytest on the run folder when the run has ended",
    "extra_code_directory": "install that code as a package, or run in a folder that has all of the code",
}
"""Options of the seed system whose effect comes another way, and which."""
_FOLLOWED: Final = "a run is followed to its end; Ctrl-C leaves a job in AzureML running"
_COMMIT: Final = "run.json has the commit of the code"
_SIGN_IN: Final = "sign in with az login, or AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET"
_NO_ACTION: Final = {
    "wait_for_completion": _FOLLOWED,
    "wait_for_completion_seconds": _FOLLOWED,
    "use_dataset_mount": "datasets are mounted in AzureML; a manifest can say mode: download",
    "log_level": "logs/console.log has all that is logged",
    "tenant_id": _SIGN_IN,
    "application_id": _SIGN_IN,
    "project_root": "it is the nearest folder with .git, pyproject.toml or setup.py",
    "pip_extra_index_url": "pip reads PIP_EXTRA_INDEX_URL when an image is built",
    "user_friendly_name": "a run is named by its start and its class",
    **dict.fromkeys(
        (
            "build_number",
            "build_user",
            "build_user_email",
            "build_branch",
            "build_source_id",
            "build_source_message",
            "build_source_author",
            "build_source_repository",
        ),
        _COMMIT,
    ),
}
"""Options of the seed system that need no action here, and why."""
_SUCCESSORS_NO_ACTION: Final = {
    "mount_in_azureml": _NO_ACTION["use_dataset_mount"],
    "strictly_aml_v1": "jobs are submitted by version 2 of the SDK",
    "identity_based_auth": _SIGN_IN,
}
_SUCCESSORS_REPLACED: Final = {
    "conda_env": "packages.requirements of a manifest takes an environment.yml",
    "docker_base_image": "compute.azureml.image of a manifest names an image",
    "debug_ddp": "set TORCH_DISTRIBUTED_DEBUG, under 'environment' of a manifest for a job in AzureML",
    "workspace_config_path": "run in a folder with the workspace's config.json, or give --workspace_name and its like",
    "log_from_vm": "add --cluster, or give the trainer a logger of your own",
}
"""The same of hi-ml's command line alone."""
_IN_OPTIONS: Final = (
    (r"container\.namespaces", "--model_configs_namespace"),
    (r"write 'namespaces: \[(.*?)\]'", r"add --model_configs_namespace=\1"),
    (r"write package\.module:ClassName", "write --model=package.module:ClassName"),
    (r"write 'nodes: 1': each GPU has a process of its own", "add --azureml, or leave --num_nodes out"),
    (r"innereye-run explain MANIFEST (shows|tells)", r"the doc of the parameter in its class \1"),
    (r"'(compute|outputs)\.([\w.]+)' of the manifest says that", r"only a manifest can say that, by \1.\2"),
    (r"\bset datasets?(\[\d+\])?\.local \(--local_dataset on the command line\)", "set --local_dataset"),
    (r"^datasets?(\[\d+\])?\.(id|local)\b", "the container's dataset"),
    (r": outputs\.folder in the manifest, or --output_to", " by --output_to"),
    (r"compute\.gpus\b", "--use_gpu"),
)
"""How a message that speaks of a manifest says the same of this command line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OldCommand:
    text: str
    """A manifest, as JSON, which is YAML."""
    overrides: list[str]
    target: Literal["azureml"] | None
    notes: tuple[str, ...] = ()
    """Of options that were taken and need no action."""
    words: Mapping[str, str] = field(default_factory=dict)
    """The word of the command line that each key of the manifest comes from."""
    line: str = ""
    """The whole command line."""

    def told(self, diagnostics: Sequence[Diagnostic]) -> list[Diagnostic]:
        """`diagnostics` of the manifest, which the user did not write, as those of the command line."""
        return [self._told(diagnostic) for diagnostic in diagnostics]

    def _told(self, found: Diagnostic) -> Diagnostic:
        said = replace(found, message=in_options(found.message), hint=in_options(found.hint))
        if found.source != "<manifest>":
            return said
        keys = re.findall(r'"(\w+)":', found.lines[0] if found.lines else "")
        word = self.words.get(keys[0] if keys else "namespaces", self.line)
        start = 1 + max(self.line.find(word), 0)
        span = Span(1, start, 1, start + len(word))
        return replace(said, span=span, source="<command line>", lines=(self.line,))


def no_action() -> dict[str, str]:
    """The options that are taken and need no action, and why."""
    return {**_NO_ACTION, **_SUCCESSORS_NO_ACTION}


def elsewhere() -> dict[str, str]:
    """The options that are refused, and what to do instead."""
    return {**REPLACED_FLAGS, **_SUCCESSORS_REPLACED}


def in_options(text: str) -> str:
    """`text`, which may speak of a manifest, for a user who wrote none."""
    for pattern, said in _IN_OPTIONS:
        text = re.sub(pattern, said, text)
    return text


def translate(
    argv: Sequence[str],
    *,
    has_gpu: Callable[[], bool] = lambda: False,
    cluster: Callable[[], str] = lambda: "",
    successor: bool = False,
) -> OldCommand:
    """The manifest, overrides and target that an old command line means. `--name value` is `--name=value` there.
    `has_gpu`: whether this machine has a GPU, which is used unless an option says otherwise. `cluster`:
    that of a job in AzureML whose command line names none. `successor`: it is hi-ml's.

    Raises:
        UsageError: there is no `--model`, a word is no option, or a value is not one its option takes.
    """
    options: dict[str, str] = {}
    overrides: list[str] = []
    notes: list[str] = []
    words: dict[str, str] = {}
    joined = _joined(argv)
    _refuse_contradictions(joined)
    no_action_here = _NO_ACTION | (_SUCCESSORS_NO_ACTION if successor else {})
    replaced = REPLACED_FLAGS | (_SUCCESSORS_REPLACED if successor else {})
    for word in _of_successor(joined) if successor else joined:
        key, equals, value = _negated(word)
        if key in no_action_here:
            notes.append(f"--{key} needs no action here: {no_action_here[key]}")
            continue
        if key in replaced:
            if value.lower() not in FALSE and (value or not equals):
                whose = "the InnerEye toolbox" if key in REPLACED_FLAGS else "hi-ml"
                raise UsageError(f"--{key} is an option of {whose} alone", hint=replaced[key])
            continue
        if key in _BOOLEAN or key in _TEXT:
            options[key] = value if equals else "true" if key in _BOOLEAN else ""
            words[_KEYS.get(key, key)] = word
        else:
            overrides.append(word)
    if not options.get("model"):
        raise UsageError(
            "no model is named", hint="write --model=CLASS, and --model_configs_namespace=MODULE for its module"
        )
    azureml = _boolean(options, "azureml", otherwise=False)
    if not _boolean(options, "train", otherwise=True):
        overrides.append("--run_inference_only=true")
    manifest: dict[str, Any] = {"schema": 1, "container": {"class": _class(options["model"])}}
    if options.get("model_configs_namespace"):
        manifest["container"]["namespaces"] = [options["model_configs_namespace"]]
    compute: dict[str, Any] = {"target": "azureml" if azureml else "process"}
    if _boolean(options, "use_gpu", otherwise=azureml) or ("use_gpu" not in options and has_gpu()):
        compute["gpus"] = "all"
    if "num_nodes" in options:
        compute["nodes"] = _integer(options["num_nodes"])
    compute |= {key: options[name] for name, key in _COMPUTE.items() if options.get(name)}
    settings = {key: options[name] for name, key in _AZUREML.items() if options.get(name)}
    if azureml and "cluster" not in settings and (default := cluster()):
        settings["cluster"] = default
    if settings and azureml:
        compute["azureml"] = settings
    manifest["compute"] = compute
    return OldCommand(
        text=json.dumps(manifest, indent=2),
        overrides=overrides,
        target="azureml" if azureml else None,
        notes=tuple(dict.fromkeys(notes)),
        words=words,
        line=" ".join(joined),
    )


def _of_successor(words: Sequence[str]) -> list[str]:
    """hi-ml's words as those of the toolbox: a job runs in AzureML where a cluster is named, and its mode says what
    `eval_full` says here."""
    names = {word.partition("=")[0] for word in words}
    modes = {"--mode=eval_full": "--eval_full=true", "--mode=train": ""}
    said = [modes.get(word.lower(), word) for word in words]
    in_azureml = "--cluster" in names and "--cluster=" not in words and not names & {"--azureml", "--no-azureml"}
    return [*filter(None, said), *(["--azureml=true"] if in_azureml else [])]


def _class(model: str) -> str:
    """`--model=my.configs.Mine` is `my.configs:Mine` in a manifest."""
    module, dot, name = model.rpartition(".")
    return f"{module}:{name}" if dot and ":" not in model else model


def _negated(word: str) -> tuple[str, str, str]:
    """Name, `=` and value of an option; of `--no-azureml` those of `--azureml=false`."""
    key, equals, value = word.removeprefix("--").partition("=")
    positive = re.sub(r"^no[-_]", "", key)
    if not equals and key != positive and positive in (*_BOOLEAN, *elsewhere(), *no_action()):
        return positive, "=", "false"
    return key, equals, value


def _refuse_contradictions(words: Sequence[str]) -> None:
    """Raises UsageError where a flag and its negation are both there, as in `--azureml --no-azureml`."""
    names = {word.partition("=")[0].removeprefix("--").replace("-", "_") for word in words}
    for word in words:
        negated = word.removeprefix("--").replace("-", "_")
        if negated.startswith("no_") and (name := negated.removeprefix("no_")) in names:
            raise UsageError(f"--{name} and {word} are both there, and say the opposite", hint="keep one of them")


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
