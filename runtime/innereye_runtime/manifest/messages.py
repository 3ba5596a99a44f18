"""Departures from the schema -> diagnostics: what is wrong, what was written, and what to write instead."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from innereye_runtime.diagnostics.diagnostic import MAX_DIAGNOSTICS, Diagnostic, Span
from innereye_runtime.diagnostics.text import clip, closest_match, has_value, quote
from innereye_runtime.manifest.lightning_cli import WRITTEN_HERE
from innereye_runtime.manifest.lookups import as_class, as_yaml, example, parent_keys, schema_at, type_label
from innereye_runtime.manifest.schema import Departure, second_of_two
from innereye_runtime.manifest.yaml.document import Document, Path, dotted
from innereye_runtime.manifest.yaml.nodes import describe
from innereye_runtime.manifest.yaml.scalars import like_yaml_1_1

ALIASES = {
    "epochs": "num_epochs",
    "max_epochs": "num_epochs",
    "env": "environment",
    "arguments": "args",
    "parameters": "args",
    "class_path": "class",
    "init_args": "args",
    "output": "outputs",
    "dependencies": "packages",
    "pip": "packages",
}
"""What people coming from other tools write."""
_NO_BREAK = "\N{NO-BREAK SPACE}"
_NO_GPU = "write none to use no GPU"
_BULLETS = "-\N{BULLET}\N{EN DASH}\N{EM DASH} "
"""What starts an item elsewhere; in YAML it is '-' and a space."""
BOOLEAN_WORDS = {**dict.fromkeys(("yes", "y", "on", "1"), "true"), **dict.fromkeys(("no", "n", "off", "0"), "false")}
_FREE = {"container": "args", "model": "args", "data": "args", "trainer": "arguments"}
"""Where a mapping has a free part, for what its closed part does not know."""


def diagnostics(document: Document, found: list[Departure]) -> list[Diagnostic]:
    """One for each departure, in source order; an unknown key and the missing one that it stands for make one."""
    unknown = [departure for departure in found if departure.keyword == "unknown"]
    missing = [d for d in found if d.keyword == "required" and not document.node(_parent(document, d.path)).partial]
    rest = [departure for departure in found if departure.keyword not in ("unknown", "required")]
    rest = [departure for departure in rest if departure.keyword != "uniqueItems" or not _is_secret(departure)]
    misspelt: dict[Path, str] = {}
    for departure in missing:
        name = str(departure.path[-1])
        here = [u.path for u in unknown if u.path[:-1] == departure.path[:-1] and u.path not in misspelt]
        beside = {str(path[-1]): path for path in here[:MAX_DIAGNOSTICS]}
        if candidate := closest_match(name, beside) or next((key for key in beside if ALIASES.get(key) == name), None):
            misspelt[beside[candidate]] = name
    replaced = {(*path[:-1], name) for path, name in misspelt.items()}
    told = [
        *((document.span(d.path, key=True), d) for d in unknown),
        *((document.span(d.path[:-1], key=True), d) for d in missing if d.path not in replaced),
        *((_place(document, d), d) for d in rest),
    ]
    told.sort(key=lambda place: place[0])
    return [_to_diagnostic(document, span, departure, misspelt) for span, departure in told[: MAX_DIAGNOSTICS + 1]]


def _to_diagnostic(document: Document, span: Span, departure: Departure, misspelt: Mapping[Path, str]) -> Diagnostic:
    match departure.keyword:
        case "unknown":
            code, (message, hint) = "E104", _unknown(document, departure, misspelt)
        case "required":
            code, (message, hint) = "E105", _missing(document, departure)
        case "type" | "anyOf" if departure.value is None:
            code, (message, hint) = "E107", _empty(document, departure)
        case "type" | "anyOf":
            code, (message, hint) = "E101", _wrong_type(document, departure)
        case "const" | "enum":
            code, (message, hint) = "E102", _no_choice(document, departure)
        case "pattern" | "propertyNames":
            code, (message, hint) = "E106", _wrong_form(departure)
        case "uniqueItems":
            item = quote(as_yaml(departure.value[second_of_two(departure.value) or 0]))
            code, message, hint = "E108", f"'{dotted(departure.path)}' has {item} twice", "delete one of the two"
        case _:
            code, (message, hint) = "E103", _out_of_bounds(departure)
    if (alias := document.alias_in(departure.path)) and alias != departure.path:
        line = document.span(alias).line
        message += f" (as part of '{dotted(alias)}', where line {line} uses it again)"
    return document.diagnostic(code, span, message, hint=hint)


def _is_secret(departure: Departure) -> bool:
    value = departure.value
    if departure.keyword == "uniqueItems":
        value = value[second_of_two(value) or 0]
    return departure.path[:1] == ("secrets",) and has_value(value)


def _secret(value: str) -> tuple[str, str]:
    name = quote(value.partition("=")[0].strip())
    return (
        f"the value of '{name}' is not allowed in a manifest",
        f"write {name} in the list; the caller's environment has the value",
    )


def _unknown(document: Document, departure: Departure, misspelt: Mapping[Path, str]) -> tuple[str, str]:
    *parent, key = departure.path
    key = str(key)
    message = f"unknown key '{quote(key)}'"
    if said := WRITTEN_HERE.get(key):
        return f"{message}, a word of Lightning's command line", said
    if _NO_BREAK in key:
        return message, "it contains a no-break space, which YAML takes for a letter; write a space"
    if name := misspelt.get(departure.path):
        return f"{message}, and the required key '{name}' is missing", f"did you mean '{name}'?"
    here = list(departure.schema["properties"])
    there = document.node(tuple(parent)).children
    free = [name for name in here if name not in there]
    if (
        name := closest_match(key, free)
        or closest_match(key, here)
        or (ALIASES.get(key) if ALIASES.get(key) in here else None)
    ):
        return message, f"did you mean '{name}'?" + (" It is there already" if name in there else "")
    if elsewhere := parent_keys().get(ALIASES.get(key, key)) or parent_keys().get(key):
        home, name = elsewhere
        return message, f"'{name}' belongs in '{home}'" if home else f"'{name}' belongs at the top of the manifest"
    owner = str(parent[-1]) if parent else ""
    if parent == ["data"] and key in schema_at(("dataset",))["properties"]:
        return message, "'data' names a LightningDataModule; the folder of the data is 'dataset'"
    if owner in _FREE:
        whose = "the class" if owner != "trainer" else "Lightning's Trainer"
        return (
            message,
            f"arguments of {whose} are in '{owner}.{_FREE[owner]}'; the keys of '{owner}' are {', '.join(here)}",
        )
    return message, f"the keys {'here' if not parent else f'of {dotted(tuple(parent))!r}'} are {', '.join(here)}"


def _missing(document: Document, departure: Departure) -> tuple[str, str]:
    *parent, key = departure.path
    written = as_yaml(schema_at(departure.path)["examples"][0])
    hint = f"add '{key}: {written}'" + (", or your own" if key != "schema" else "")
    if "compute" not in document.value and parent == ["compute"]:
        return (
            f"the key '{key}' is missing in 'compute', which target azureml needs",
            "add 'compute: {azureml: {cluster: gpu}}', or your own",
        )
    if departure.path == ("compute", "azureml", "cluster"):
        message = "'compute.azureml' has neither 'cluster' nor 'instance_type', and target azureml needs one"
        return message, f"{hint}; or 'instance_type: SIZE' for a serverless job on a virtual machine of that size"
    if parent[:1] == ["compute"]:
        return f"'{dotted(tuple(parent))}' lacks the key '{key}', which target azureml needs", hint
    return (f"'{dotted(tuple(parent))}' lacks" if parent else "the manifest lacks") + f" the key '{key}'", hint


def _empty(document: Document, departure: Departure) -> tuple[str, str]:
    written = document.node(departure.path).text
    message = f"'{dotted(departure.path)}' is {'null' if written else 'empty'}, and has to be {type_label(departure)}"
    if written == "~":
        return message, 'a lone ~ is null in YAML; for the home folder write "~" in quotes'
    if isinstance(departure.path[-1], int):
        return message, "write a value, or delete the item"
    needed = departure.path[-1] == "class" or departure.path in (("container",), ("model",))
    return message, f"write a value{example(departure)}" + ("" if needed else ", or delete the key")


def _wrong_type(document: Document, departure: Departure) -> tuple[str, str]:
    node, value = document.node(departure.path), departure.value
    text, kind = clip(document.written(departure.path)), departure.schema.get("type")
    shown = "" if isinstance(value, (dict, list)) else f"{quote(text)} is "
    message = (
        f"'{dotted(departure.path)}' has to be {type_label(departure)}, and {shown or 'this is '}{describe(value)}"
    )
    is_text = isinstance(value, str)
    if is_text and _is_secret(departure):
        return _secret(value)
    if departure.keyword == "anyOf" and departure.path[:1] == ("sweep",):
        return message, f"write {type_label(departure)}"
    if departure.path == ("packages", "requirements"):
        return message, "write requirements.txt, or a list such as [monai>=1.5, nibabel]"
    if departure.path == ("packages",) and isinstance(value, (str, list)):
        return message, f"write {{requirements: {quote(as_yaml(value))}}}"
    if departure.keyword == "anyOf":
        return message, _gpus_hint(node.text, value)
    if kind == "integer" and isinstance(value, float):
        message += " with a decimal point or an exponent"
        is_whole = value.is_integer() and abs(value) < 1e15
        return message, f"write {int(value)}" if is_whole else f"write a whole number{example(departure)}"
    if kind in ("integer", "number") and is_text:
        return message, _number_hint(node.text, departure)
    if kind == "boolean":
        meant = BOOLEAN_WORDS.get(node.text.lower(), node.text.lower())
        if node.plain and like_yaml_1_1(node.text) == "boolean":
            message += " in YAML 1.2"
        return message, f"write {meant}" if meant in ("true", "false") else "write true or false"
    if kind == "string" and isinstance(value, (bool, int, float)):
        if "unit" in str(departure.schema.get("title")) and not isinstance(value, bool):
            return message.replace("is a number", "has no unit"), _unit_hint(node.text, departure)
        if not re.search(departure.schema.get("pattern", ""), node.text):
            return message, f"write {type_label(departure)}{example(departure)}"
        return message, f'write "{quote(node.text)}" in quotes'
    if kind == "array" and is_text:
        return message, f"write [{quote(text.lstrip(_BULLETS))}], or one '- item' a line"
    if kind == "object" and is_text and ":" in value:
        return message, "put a space after the ':', and the keys on the lines below or in braces"
    return message, f"write {type_label(departure)}{example(departure)}"


def _gpus_hint(text: str, value: Any) -> str:
    """`compute.gpus` is the one key with several types."""
    if text.strip().isdigit():
        return f"write {text.strip()} without quotes"
    if isinstance(value, float) and value.is_integer() and value >= 1:
        return f"write {int(value)}"
    if isinstance(value, str) and (guess := closest_match(text, ("none", "all"))) and guess[0] == text[0].lower():
        return f"did you mean {guess}?"
    return "write none, all, a number such as 2, or ids such as [0, 3]"


def _unit_hint(text: str, departure: Departure) -> str:
    units = ("m", "g") if "size" in departure.schema["title"] else ("s", "m", "h")
    return f"write {', '.join(text + unit for unit in units[:-1])} or {text}{units[-1]}"


def _number_hint(text: str, departure: Departure) -> str:
    match like_yaml_1_1(text):
        case "number" if "_" in text:
            return f"write {text.replace('_', '')}: YAML 1.2 has no '_' in numbers"
        case "date":
            return "a date is not allowed here; write " + type_label(departure) + example(departure)
    if text.strip().isdigit():
        return f"write {text.strip()} without quotes"
    return f"write {type_label(departure)}{example(departure)}"


def _no_choice(document: Document, departure: Departure) -> tuple[str, str]:
    choices = departure.schema.get("enum") or [departure.schema["const"]]
    value = departure.value
    if departure.path == ("schema",):
        written = quote(document.written(departure.path)) or "empty"
        return f"'schema' is {written}, and this program reads version 1", "write 'schema: 1'"
    message = f"'{dotted(departure.path)}' can't be '{quote(str(value))}'"
    guess = closest_match(value, map(str, choices)) if isinstance(value, str) else None
    listed = f"choose one of {', '.join(map(str, choices))}"
    return message, f"did you mean '{guess}'? {listed[0].upper()}{listed[1:]}" if guess else listed


def _wrong_form(departure: Departure) -> tuple[str, str]:
    value = str(departure.value)
    if _is_secret(departure):
        return _secret(value)
    message = f"'{quote(value)}' is not {departure.schema['title']}"
    if departure.path[-1] == "class" and re.search(departure.schema["pattern"], guess := as_class(value)):
        return message, f"write {quote(guess)}"
    if departure.path[-2:-1] == ("namespaces",) and ("/" in value or value.endswith(".py")):
        return message, f"write {quote(value.removesuffix('.py').strip('./').replace('/', '.'))}"
    if departure.path[-1] == "sha256" and value.lower() != value and len(value) == 64:
        return message, "write its letters in lower case"
    if "unit" in departure.schema["title"] and value.strip().isdigit():
        return message, _unit_hint(value.strip(), departure)
    if "such as" in (title := departure.schema["title"]):
        return message, "write numbers with units" if "time" in title else "write a number and a unit"
    return message, f"write one{example(departure)}" if "examples" in departure.schema else "choose another name"


def _out_of_bounds(departure: Departure) -> tuple[str, str]:
    keyword, name = departure.keyword, dotted(departure.path)
    limit, shown = departure.schema[keyword], quote(as_yaml(departure.value))
    match keyword:
        case "minLength" | "minItems":
            if departure.path == ("compute", "gpus"):
                return f"'{name}' is empty", _NO_GPU
            if departure.path[:2] == ("compute", "azureml"):
                return (
                    f"'{name}' is empty, and target azureml needs it",
                    f"write {type_label(departure)}{example(departure)}",
                )
            what = "item" if isinstance(departure.path[-1], int) else "key"
            return f"'{name}' is empty", f"write {type_label(departure)}{example(departure)}, or delete the {what}"
        case "maxLength":
            return f"'{name}' has {len(departure.value)} characters; {limit} are allowed", "write a shorter one"
        case "minimum":
            hint = f"write {limit} or more" if departure.path[-1] != "gpus" else _NO_GPU
            return f"'{name}' is {shown}, and has to be at least {limit}", hint
    return f"'{name}' is {shown}, and can be at most {limit}", f"write {limit} or less"


def _place(document: Document, departure: Departure) -> Span:
    if departure.keyword == "uniqueItems":
        return document.span((*departure.path, second_of_two(departure.value) or 0))
    return document.span(departure.path, key=departure.keyword == "propertyNames")


def _parent(document: Document, path: Path) -> Path:
    """The nearest mapping above `path` that is in the text."""
    for length in range(len(path) - 1, -1, -1):
        try:
            document.node(path[:length])
        except KeyError:
            continue
        return path[:length]
    return ()
