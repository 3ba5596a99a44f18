"""Fills the reference pages at every build of the documentation, from what the program itself reads: never stale.

MkDocs calls this file as a hook (mkdocs.yml). A page has a line `<!-- generated: NAME -->` for each part of PARTS. The
manifest and run.json come from their schemas, the command line from its parsers, the parameters from the classes, the
codes from errors and diagnostics. What cannot be read off the code (a sentence on each exit code and environment
variable) is in docs/reference.toml; where it and the code differ, the build ends with an error.
"""

from __future__ import annotations

import io
import json
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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

TEXTS: dict[str, Any] = tomllib.loads((ROOT / "docs" / "reference.toml").read_text(encoding="utf-8"))


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
    return "".join(_table(("file", "content"), [(_code(name), about) for name, about in TEXTS["run-files"].items()]))


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
        PluginError: the source names other variables than docs/reference.toml.
    """
    named = variables_in_source()
    described = set(TEXTS["variables"])
    if named != described:
        raise PluginError(f"docs/reference.toml: variables and the source differ in {sorted(named ^ described)}")
    return "".join(
        _table(("variable", "meaning"), [(_code(name), about) for name, about in TEXTS["variables"].items()])
    )


def other_variables() -> str:
    """The variables of other programs that the runtime honours."""
    return "".join(
        _table(("variable", "meaning"), [(_code(names), about) for names, about in TEXTS["other-variables"].items()])
    )


def exit_codes() -> str:
    """Each exit code, its errors and its remedy.

    Raises:
        PluginError: the exit codes are others than in docs/reference.toml.
    """
    described = {int(code): texts for code, texts in TEXTS["exit-codes"].items()}
    if set(described) != set(ExitCode):
        raise PluginError(f"docs/reference.toml: exit-codes and the code differ in {set(described) ^ set(ExitCode)}")
    errors: dict[int, list[str]] = {}
    for kind in _subclasses(InnerEyeError):
        errors.setdefault(kind.exit_code, []).append(f"`{kind.__name__}`")
    rows = [
        (f"**{code}**", meaning, ", ".join(errors.get(code, ())), remedy)
        for code, (meaning, remedy) in described.items()
    ]
    return "".join(_table(("code", "meaning", "raised as", "what to do"), rows))


def error_codes() -> str:
    """Each code of a diagnostic with its title, by family.

    Raises:
        PluginError: a code belongs to no family.
    """
    known = [code for kind in "EWN" for number in range(600) if _title(code := f"{kind}{number:03}")]
    if strange := [code for code in known if code[:2] not in TEXTS["families"]]:
        raise PluginError(f"docs/reference.toml: families lacks that of {', '.join(strange)}")
    parts: list[str] = []
    for family, about in TEXTS["families"].items():
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
    texts = (file.read_text(encoding="utf-8") for file in package.rglob("*.py"))
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


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
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
