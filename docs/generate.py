"""Fills the reference pages at every build of the documentation, from what the program itself reads: never stale.

MkDocs calls this file as a hook (mkdocs.yml). A page has a line `<!-- generated: NAME -->` for each part of PARTS. The
manifest and run.json come from their schemas, the command line from its parsers, the parameters from the classes, the
codes from errors and diagnostics. What cannot be read off the code (a sentence on each exit code and environment
variable) is in the tables below; where a table and the code differ, the build ends with an error.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from innereye_runtime.cli.main import COMMANDS, main
from innereye_runtime.diagnostics import codes
from innereye_runtime.errors import ExitCode, InnerEyeError

ROOT = Path(__file__).resolve().parent.parent
MARK = re.compile(r"^<!-- generated: ([a-z-]+) -->$", re.MULTILINE)

DOCUMENTS: Mapping[str, str] = {"CHANGELOG.md": "Changelog", "SECURITY.md": "Security policy"}
"""Documents of the repository's root that are pages too, with their titles in the navigation."""

EXIT_CODES: Mapping[ExitCode, tuple[str, str]] = {
    ExitCode.DONE: ("The run is complete, or the command did what it was asked.", "Nothing."),
    ExitCode.USER_CODE: (
        "Your code raised an exception. Where it exits with a code of its own, that code is passed through; of several "
        "ranks, the code of the one that failed first.",
        "The traceback in `logs/console.log` begins at your own code; `run.json` has the reason.",
    ),
    ExitCode.USAGE: (
        "The command line, the manifest or the container's arguments are wrong. Nothing was started.",
        "Every problem is listed with its line, an error code and a hint: see [error codes](error-codes.md).",
    ),
    ExitCode.PREFLIGHT: (
        "Something that the job needs is missing: an engine, a GPU, disk space, shared memory, credentials.",
        "`innereye-run doctor MANIFEST` lists each check with its remedy.",
    ),
    ExitCode.IMAGE: (
        "A container image is missing or does not build.",
        "`innereye-run image build`, or correct `compute.docker.image` or `compute.azureml.image`.",
    ),
    ExitCode.DATA: (
        "A dataset is missing, unreadable, empty or not the one that the manifest names by `sha256`.",
        "Check `dataset.local` or `dataset.id`; `innereye-run data fingerprint` shows what is there.",
    ),
    ExitCode.OUTPUTS: (
        "Outputs are missing, empty or differ from `outputs.json`.",
        "`innereye-run verify RUN` lists the files.",
    ),
    ExitCode.INTERRUPTED: (
        "Interrupted with Ctrl-C. The checkpoint of the last complete epoch is kept.",
        "`innereye-run resume RUN`.",
    ),
    ExitCode.STOPPED: (
        "Stopped by SIGTERM, `innereye-run stop`, `compute.max_duration` or a preemption. The checkpoint of the last "
        "complete epoch is kept.",
        "`innereye-run resume RUN`.",
    ),
}
"""What each exit code means, and what to do."""

VARIABLES: Mapping[str, str] = {
    "INNEREYE_AZUREML_IMAGE": "The image of jobs in Azure Machine Learning where the manifest does not set "
    "`compute.azureml.image`.",
    "INNEREYE_CACHE_LIMIT": "The most that the cache of datasets may occupy, such as `200g`. Default: the disk's size.",
    "INNEREYE_DATASTORE": "A folder of blobs, `azure://ACCOUNT/CONTAINER/PATH`, that holds datasets with a plain `id`.",
    "INNEREYE_RUNTIME_LAUNCH": "Set by the launchers for the process that trains: the file that describes the run.",
    "INNEREYE_RUNTIME_SHARE": "Set in the images: the folder with the manifests and data that are part of the image.",
}
"""The runtime's own environment variables."""

OTHERS: Mapping[str, str] = {
    "AZURE_STORAGE_CONNECTION_STRING, AZURE_STORAGE_SAS_TOKEN, AZURE_STORAGE_KEY": "Credentials of blob stores, tried "
    "in this order; if none is set, azure-identity provides them.",
    "AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET": "A service principal, in place of `az login`.",
    "AZUREML_ARM_SUBSCRIPTION, AZUREML_ARM_RESOURCEGROUP, AZUREML_ARM_WORKSPACE_NAME": "The workspace, if neither the "
    "manifest nor a `config.json` names it.",
    "DOCKER_HOST, DOCKER_CONTEXT, DOCKER_CONFIG, DOCKER_CERT_PATH, DOCKER_TLS_VERIFY": "The Docker engine, as for the "
    "`docker` command.",
    "NO_COLOR, FORCE_COLOR, TERM": "Whether messages are coloured.",
    "XDG_CACHE_HOME": "The parent of the cache folder `innereye-runtime`. Default: `~/.cache`.",
    "http_proxy, https_proxy, no_proxy, SSL_CERT_FILE, PIP_*": "The network of image builds; passed as build secrets.",
}
"""Variables of other programs that the runtime honours."""

FAMILIES: Mapping[str, str] = {
    "E0": "YAML",
    "E1": "Schema",
    "E2": "Keys that contradict each other",
    "E3": "Arguments of the container",
    "E4": "Overrides on the command line",
    "W0": "Warnings",
    "N0": "Notes",
}

RUN_FILES: Mapping[str, str] = {
    "run.json": "State, attempts, effective manifest, git commit and diff, packages, hardware, seed, fingerprints, "
    "timings: see [below](#runjson).",
    "manifest.yaml": "The effective manifest: `innereye-run manifest.yaml` repeats the run.",
    "args.txt": "Every parameter of the container.",
    "metrics.csv": "Every logged metric, written as training proceeds.",
    "metrics.json": "The final metrics of each split.",
    "checkpoints/best.ckpt, checkpoints/last.ckpt": "The best checkpoint by `checkpoint_monitor`, and the newest one.",
    "logs/console.log": "Everything that was printed.",
    "logs/tensorboard/": "The same metrics for TensorBoard.",
    "figures/": "What `add_figure`, `add_overlay` and `add_curve` wrote.",
    "report.html": "Curves, figures, metrics, parameters and provenance in one file that opens offline.",
    "outputs.json": "Every file with its size and sha256, written last: where it is present, the run is complete.",
}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """The navigation with the documents of the repository's root."""
    pages = [{DOCUMENTS[name]: name.lower()} for name in DOCUMENTS if (ROOT / name).is_file()]
    assert config.nav is not None
    config.nav.append({"Project": pages})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the documents of the repository's root that belong to the site."""
    for name, text in documents().items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """The page with its generated parts."""
    return MARK.sub(lambda match: PARTS[match[1]](), markdown)


def documents() -> dict[str, str]:
    """Those of DOCUMENTS that exist, as pages; a link of theirs into the repository becomes its text."""
    found: dict[str, str] = {}
    for name in DOCUMENTS:
        if (ROOT / name).is_file():
            text = (ROOT / name).read_text(encoding="utf-8").replace("](docs/", "](")
            outside = r"\[([^\]]+)\]\((?!https?://|#|tutorial/|how-to/|reference/|explanation/|migration)[^)]*\)"
            found[name.lower()] = re.sub(outside, r"\1", text)
    return found


def manifest() -> str:
    """Every key of a manifest with its type, default, description and an example."""
    schema = json.loads((ROOT / "schema" / "manifest.schema.json").read_text(encoding="utf-8"))
    parts: list[str] = []
    for key, value in schema["properties"].items():
        rows = list(_keys(key, value, schema, required=key in schema.get("required", ())))
        parts += [f"\n## `{key}`\n\n", *_table(("key", "type", "default", "meaning", "example"), rows)]
    return "".join(parts)


def run_files() -> str:
    """The files of a run folder."""
    return "".join(_table(("file", "content"), [(_code(name), about) for name, about in RUN_FILES.items()]))


def run_record() -> str:
    """Every key of run.json."""
    schema = json.loads((ROOT / "schema" / "run.schema.json").read_text(encoding="utf-8"))
    keys = [row for key, value in schema["properties"].items() for row in _keys(key, value, schema, required=False)]
    return "".join(_table(("key", "type", "meaning"), [(key, kind, about) for key, kind, _, about, _ in keys]))


def command_line() -> str:
    """The help of each command, as it is printed."""
    parts = [_fence(_printed("--help"))]
    parts += [f"\n## innereye-run {name}\n\n{_fence(_printed(name, '--help'))}" for name in COMMANDS]
    return "".join(parts)


def parameters() -> str:
    """Every public parameter that each LightningContainer has."""
    properties = json.loads(_printed("schema", "--container", "innereye_runtime:LightningContainer"))["properties"]
    rows = [(_code(name), _type(one), _default(one), one.get("description", "")) for name, one in properties.items()]
    return "".join(_table(("parameter", "type", "default", "meaning"), rows))


def environment_variables() -> str:
    """The runtime's own variables.

    Raises:
        PluginError: the source names another set of variables than VARIABLES.
    """
    named = variables_in_source()
    if named != set(VARIABLES):
        raise PluginError(f"docs/generate.py: VARIABLES and the source differ in {sorted(named ^ set(VARIABLES))}")
    return "".join(_table(("variable", "meaning"), [(_code(name), about) for name, about in VARIABLES.items()]))


def other_variables() -> str:
    """The variables of other programs that the runtime honours."""
    return "".join(_table(("variable", "meaning"), [(_code(names), about) for names, about in OTHERS.items()]))


def exit_codes() -> str:
    """Each exit code, its errors and its remedy.

    Raises:
        PluginError: an exit code is not described in EXIT_CODES.
    """
    if set(EXIT_CODES) != set(ExitCode):
        raise PluginError(f"docs/generate.py: EXIT_CODES lacks {set(ExitCode) - set(EXIT_CODES)}")
    errors: dict[int, list[str]] = {}
    for kind in _subclasses(InnerEyeError):
        errors.setdefault(kind.exit_code, []).append(f"`{kind.__name__}`")
    rows = [
        (f"**{int(code)}**", meaning, ", ".join(errors.get(code, ())), remedy)
        for code, (meaning, remedy) in EXIT_CODES.items()
    ]
    return "".join(_table(("code", "meaning", "raised as", "what to do"), rows))


def error_codes() -> str:
    """Each code of a diagnostic with its title, by family.

    Raises:
        PluginError: a code belongs to no family.
    """
    known = [code for kind in "EWN" for number in range(500) if _title(code := f"{kind}{number:03}")]
    if strange := [code for code in known if code[:2] not in FAMILIES]:
        raise PluginError(f"docs/generate.py: FAMILIES lacks that of {', '.join(strange)}")
    parts: list[str] = []
    for family, about in FAMILIES.items():
        rows = [(_code(code), _title(code)) for code in known if code.startswith(family)]
        help_text = f"{codes.help_text(family + '00')}\n\n" if family[0] == "E" else ""
        parts += [f"\n## {about}\n\n{help_text}", *_table(("code", "meaning"), rows)]
    return "".join(parts)


PARTS: Mapping[str, Callable[[], str]] = {
    "command-line": command_line,
    "environment-variables": environment_variables,
    "error-codes": error_codes,
    "exit-codes": exit_codes,
    "manifest": manifest,
    "other-variables": other_variables,
    "parameters": parameters,
    "run-files": run_files,
    "run-record": run_record,
}


def variables_in_source() -> set[str]:
    """The names of the runtime's own environment variables that its source has as text."""
    package = ROOT / "runtime" / "innereye_runtime"
    texts = (file.read_text(encoding="utf-8") for file in package.rglob("*.py") if "standin" not in file.parts)
    dockerfile = (ROOT / "Dockerfile.gpu").read_text(encoding="utf-8")
    names = {name for text in texts for name in re.findall(r"\"(INNEREYE_[A-Z_]+)\"", text)}
    return names | set(re.findall(r"\b(INNEREYE_[A-Z_]+)=", dockerfile))


def _keys(
    path: str, value: Mapping[str, Any], root: Mapping[str, Any], *, required: bool
) -> Iterator[tuple[str, str, str, str, str]]:
    """A row for the key at `path`, and for those below it."""
    value = _resolved(value, root)
    name = f"`{path}`" + (" (required)" if required else "")
    examples = value.get("examples", ())
    example = _code(json.dumps(examples[0], ensure_ascii=False)) if examples else ""
    yield name, _type(value), _default(value), value.get("description", ""), example
    for suffix, below in _below(value):
        below = _resolved(below, root)
        for key, one in below.get("properties", {}).items():
            yield from _keys(f"{path}{suffix}.{key}", one, root, required=key in below.get("required", ()))


def _below(value: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The schemas that may have the keys of a value: its own, those of its items, values and alternatives."""
    yield "", value
    yield from (("", one) for one in _alternatives(value))
    for keyword, suffix in (("items", "[]"), ("additionalProperties", ".*")):
        if isinstance(value.get(keyword), Mapping):
            yield suffix, value[keyword]


def _alternatives(value: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [*value.get("anyOf", ()), *value.get("oneOf", ())]


def _resolved(value: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" not in value:
        return value
    merged = {**root["$defs"][value["$ref"].rpartition("/")[2]], **value}
    return {key: one for key, one in merged.items() if key != "$ref"}


def _type(value: Mapping[str, Any]) -> str:
    if "const" in value:
        return _code(json.dumps(value["const"]))
    if "enum" in value:
        return ", ".join(_code(str(choice)) for choice in value["enum"])
    if alternatives := _alternatives(value):
        return " or ".join(dict.fromkeys(_type(one) for one in alternatives))
    if "$ref" in value:
        return "object"
    kind = value.get("type", "any")
    kind = " or ".join(kind) if isinstance(kind, list) else str(kind)
    bounds = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    return " ".join([kind, *(f"{sign} {value[name]}" for name, sign in bounds.items() if name in value)])


def _default(value: Mapping[str, Any]) -> str:
    shown = value.get("default")
    return "" if shown is None or shown in ("", [], {}) else _code(json.dumps(shown, ensure_ascii=False))


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |\n|{'---|' * len(head)}\n"
    for row in rows:
        yield f"| {' | '.join(_cell(cell) for cell in row)} |\n"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _code(text: str) -> str:
    return ", ".join(f"`{part}`" for part in text.split(", ")) if not text.startswith(("[", "{")) else f"`{text}`"


def _fence(text: str) -> str:
    return f"```text\n{text}```\n"


def _printed(*argv: str) -> str:
    """What the command prints.

    Raises:
        PluginError: it ended with another exit code than 0.
    """
    with redirect_stdout(io.StringIO()) as printed:
        code = main(argv)
    if code != 0:
        raise PluginError(f"docs/generate.py: innereye-run {' '.join(argv)} ended with {code}")
    return printed.getvalue()


def _title(code: str) -> str:
    """The title of a code; '' for one that does not exist."""
    try:
        return codes.title(code) if code in codes.TITLES or code[:2] in ("E3", "E4") else ""
    except KeyError:
        return ""


def _subclasses(kind: type[InnerEyeError]) -> Iterator[type[InnerEyeError]]:
    yield kind
    for one in kind.__subclasses__():
        if one.__module__ == kind.__module__:
            yield from _subclasses(one)
