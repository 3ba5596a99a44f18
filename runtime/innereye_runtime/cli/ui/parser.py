"""argparse, strict: no abbreviations, overrides only as `--key=value`, and help that is the same on every Python.

An option that a command does not know is an override of a container's parameter where the command takes any, and a
mistake where it takes none.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from innereye_runtime.errors import ManifestError, UsageError
from innereye_runtime.introspection.arguments.option_names import OPTIONS, PREFIX, is_parameter

if TYPE_CHECKING:
    from innereye_runtime.diagnostics.diagnostic import Diagnostic


class _Targets(tuple[str, ...]):
    """The names of the built-in targets; those of other distributions are looked up when one is written."""

    def __contains__(self, name: object) -> bool:
        from innereye_runtime.manifest.plugins import external_targets

        return super().__contains__(name) or name in external_targets()


TARGETS = _Targets(("process", "docker", "slurm", "azureml"))
MANIFEST_KEYS = ("compute", "dataset", "datasets", "environment", "outputs", "secrets", "trainer")
"""Keys at the top of a manifest that have keys below them."""
MANIFEST_SUFFIXES = (".yaml", ".yml")
WIDTH = 80
SETTING = "--set="
SET_HELP = (
    "set a key of the manifest, as in --set compute.gpus=all;\nVALUE is YAML, a path counts from the manifest's folder"
)
_NO_BREAK = "\N{NO-BREAK SPACE}"
UNKNOWN_OVERRIDE = "E401"
_DASHES = "-\N{HYPHEN}\N{NON-BREAKING HYPHEN}\N{FIGURE DASH}\N{EN DASH}\N{EM DASH}\N{HORIZONTAL BAR}\N{MINUS SIGN}"
"""What a person, or a word processor, writes for a hyphen."""

_LAST = {"set": 1, "help": 2}
"""What stands at the end of a help."""
_VERBOSE = ("-v", "-vv", "-vvv", "--verbose", "-q", "--quiet")
"""What other programs have, for more lines or for fewer."""

N = TypeVar("N", bound=argparse.Namespace)


class Parser(argparse.ArgumentParser):
    """The parser of one command: `usage` without the program's name, `about` in two lines, `examples` that work."""

    def __init__(
        self, command: str, *, usage: str, about: str, examples: Sequence[str], overrides: bool = False
    ) -> None:
        super().__init__(
            prog=f"innereye-run {command}".strip(), usage=usage, description=about, allow_abbrev=False, add_help=False
        )
        self.examples = examples
        self.takes_overrides = overrides
        self.add_argument("-h", "--help", action="help", help="show this help and exit")
        if overrides:
            self.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help=SET_HELP)

    def choices_of(self, option: str) -> list[str] | None:
        """The values of an option that takes one of a few, [] for one that takes any, None for one that takes none."""
        action = self._option_string_actions.get(option)
        if action is None or action.nargs == 0:
            return None
        return [str(choice) for choice in action.choices or ()]

    def choices_at(self, position: int) -> list[str] | None:
        """The values of a positional, from 0, that takes one of a few, [] for any, None where there is none so far."""
        positionals = self._get_positional_actions()
        if positionals and positionals[-1].nargs == "+":
            position = min(position, len(positionals) - 1)
        if position >= len(positionals):
            return None
        return [str(choice) for choice in positionals[position].choices or ()]

    def described(self) -> list[tuple[str, str]]:
        """Each long option with the first line of its help."""
        return [
            (name, (action.help or "").split("\n")[0])
            for action in self._actions
            for name in action.option_strings
            if name.startswith("--")
        ]

    def read(self, argv: Sequence[str], namespace: N) -> tuple[N, list[str]]:
        """The command's own arguments, set on `namespace`, and the overrides as they were written.

        Raises:
            UsageError: an argument is missing, unknown or not one of the choices.
        """
        if self.takes_overrides:
            self._refuse_misspelled_overrides(argv)
        own, overrides = self._split(argv)
        if overrides and not self.takes_overrides:
            self.error(f"unknown option '{_name(overrides[0])}'", hint=self.near(overrides[0]))
        for word in overrides:
            if not is_parameter(_parameter(word)):
                self.error(f"'{word}' is not an override", hint="write --name=value")
        _, extra = self.parse_known_intermixed_args(own, namespace)
        if extra:
            one_at_a_time = "one manifest at a time" if extra[0].endswith(MANIFEST_SUFFIXES) else ""
            self.error(f"unexpected argument '{extra[0]}'", hint=one_at_a_time)
        return namespace, [*overrides, *(f"{SETTING}{word}" for word in getattr(namespace, "set", ()))]

    def near(self, option: str) -> str:
        """A hint that names the option that `option` was most likely meant to be; else ''."""
        from difflib import get_close_matches

        names = [name.removeprefix("--") for name, _ in self.described() if name != "--help"]
        close = get_close_matches(_name(option).removeprefix("--"), names, n=1, cutoff=0.6)
        return f"did you mean '--{close[0]}'?" if close else ""

    def _split(self, argv: Sequence[str]) -> tuple[list[str], list[str]]:
        own: list[str] = []
        overrides: list[str] = []
        for position, word in enumerate(argv):
            if word == "--":
                own += argv[position:]
                break
            known = not word.startswith("--") or _name(word) in self._option_string_actions
            (own if known else overrides).append(word)
        return own, overrides

    def _refuse_misspelled_overrides(self, argv: Sequence[str]) -> None:
        """Returns where no word is an override written in a way that other programs take."""
        words = argv[: argv.index("--")] if "--" in argv else argv
        for before, word, after in zip(["", *words], words, [*words[1:], ""], strict=False):
            if _name(word) in self._option_string_actions or self.choices_of(before) is not None:
                continue
            if self._awaits_value(before) and not _is_option(word) and not _is_path(word):
                value = after if word == "=" else word.removeprefix("=")
                hint = self.near(before) or f"a value is joined to its name: {_name(before)}={value}"
                self.error(f"unexpected argument '{word}'", hint=hint)
            if word in _VERBOSE:
                self.error(f"unknown option '{word}'", hint="all that a run prints is also in its logs/console.log")
            if meant := _suggest(word, after):
                self.error(f"'{word}' is not an override", hint=f"write {meant}")

    def _awaits_value(self, word: str) -> bool:
        """Whether `word` is an override with nothing behind its name, or a flag."""
        name, _, text = word.partition("=")
        return name.startswith("--") and len(name) > 2 and not text and name not in self._option_string_actions

    def error(self, message: str, *, hint: str = "") -> NoReturn:
        """Raises what argparse would print, with the command's usage as the hint where there is no better one."""
        message = message.replace("the following arguments are required:", "missing").removeprefix("argument ")
        message = re.sub(r"^(\S+): ignored explicit argument '(.*)'", r"\1 takes no value, and '\2' is one", message)
        message = message.replace(": expected one argument", " needs a value").replace("-h/--help", "--help")
        if choice := re.match(r"(\S+): invalid choice: '(.*?)'", message):
            named = next(action for action in self._actions if choice[1] in (*action.option_strings, action.metavar))
            message = f"{choice[1]} is one of {', '.join(map(str, named.choices or ()))}, not '{choice[2]}'"
        option = message.split(" ", 1)[0].removeprefix("--")
        if not hint and self.takes_overrides and option in OPTIONS:
            hint = f"a parameter of this name is set by {PREFIX}{option}=VALUE; {self.prog} {self.usage}"
        raise UsageError(message, hint=hint or f"{self.prog} {self.usage}")

    def format_help(self) -> str:
        """The help, in at most 80 columns but for the examples, which are to be copied."""
        in_order = sorted(self._actions, key=lambda action: _LAST.get(action.dest, 0))
        rows = [(self._left(action), action.help or "") for action in in_order]
        room = WIDTH - 4 - max(len(left) for left, _ in rows)
        wrapped = [(left, _paragraphs(right, room)) for left, right in rows]
        about = _paragraphs(self.description or "", WIDTH)
        usage = _wrapped(f"Usage: {self.prog} {_unbroken(str(self.usage))}", WIDTH, indent=7)
        examples = "".join(f"  {example}\n" for example in self.examples)
        return f"{about}\n\n{usage.replace(_NO_BREAK, ' ')}\n\n{table(wrapped)}\nExamples:\n{examples}"

    def _left(self, action: argparse.Action) -> str:
        if not action.option_strings:
            return str(action.metavar or action.dest)
        names = ", ".join(action.option_strings)
        if action.nargs == 0:
            return names
        return f"{names} {action.metavar or '|'.join(map(str, action.choices or ()))}"


def _paragraphs(text: str, width: int) -> str:
    """`text` in lines of at most `width`. A line that is indented stays a line: it is one of a list."""
    joined = re.sub(r"\n(?! )", " ", text)
    return "\n".join(_wrapped(line, width, indent=_hanging(line)) for line in joined.split("\n"))


def _hanging(line: str) -> int:
    """Where the text of a list's line begins, behind its word and two spaces; 0 for other lines."""
    found = re.match(r" +\S.*?  +(?=\S)", line)
    return found.end() if found else 0


def _wrapped(text: str, width: int, *, indent: int) -> str:
    lines = [""]
    for word in re.findall(r" *[^ ]+", text):
        if len(lines[-1]) + len(word) > width and lines[-1].strip():
            lines.append(" " * indent + word.lstrip())
        else:
            lines[-1] += word
    return "\n".join(lines)


def _unbroken(usage: str) -> str:
    """`usage` with hard spaces inside brackets, so that an option and its value stay in one line."""
    depth, characters = 0, []
    for character in usage:
        depth += (character == "[") - (character == "]")
        characters.append(_NO_BREAK if character == " " and depth else character)
    return "".join(characters)


def columns(rows: Sequence[Sequence[str]]) -> str:
    """The rows as lines, each column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def table(rows: Sequence[tuple[str, str]]) -> str:
    """Two columns, the first as wide as its widest cell; further lines of a cell stay in the second column."""
    width = max(len(left) for left, _ in rows)
    lines: list[str] = []
    for left, right in rows:
        first, *more = right.split("\n")
        lines += [f"  {left:<{width}}  {first}", *(f"  {'':<{width}}  {line}" for line in more)]
    return "\n".join(lines) + "\n"


def _name(option: str) -> str:
    return option.partition("=")[0]


def _parameter(word: str) -> str:
    """The name of the parameter that an override sets."""
    name = _name(word)
    return name.removeprefix(PREFIX if name.startswith(PREFIX) else "--").replace("-", "_")


def _is_option(word: str) -> bool:
    """Whether `word` begins as an option does; a negative number does not."""
    return word.startswith("-") and re.match(r"-\.?\d", word) is None


def _is_path(word: str) -> bool:
    return word.endswith(MANIFEST_SUFFIXES) or Path(word).exists()


def _suggest(word: str, after: str) -> str:
    """What `word` is an attempt at: an override with one hyphen or three, none, a dash; a key of the manifest, with
    dots; else ''."""
    if (word.startswith(PREFIX) or "." in _name(word)) and word[:2] == "--" and is_parameter(_parameter(word)):
        return ""
    dashed = word[:1] in _DASHES
    name, equals, text = word.lstrip(_DASHES).partition("=")
    if dashed and "." in name and name.split(".")[0] in MANIFEST_KEYS:
        return f"--set {name}{equals}{text}" if equals else f"--set {name}={after or 'VALUE'}"
    last = name.rpartition(".")[2]
    if not last.replace("-", "_").isidentifier() or not (dashed or equals) or (not dashed and _is_path(word)):
        return ""
    meant = f"--{last}{equals}{text}"
    if meant == word:
        return ""
    return meant if equals or not after or after.startswith("-") or _is_path(after) else f"{meant}={after}"


@contextmanager
def name_options(parser: Parser) -> Iterator[None]:
    """An override that no parameter answers to, inside it, is also compared with the command's options."""
    try:
        yield
    except ManifestError as error:
        raise ManifestError([_with_option(diagnostic, parser) for diagnostic in error.diagnostics]) from None


def _with_option(diagnostic: Diagnostic, parser: Parser) -> Diagnostic:
    """The diagnostic of an unknown override, with the near option as its hint where no parameter is as near."""
    if diagnostic.code != UNKNOWN_OVERRIDE or diagnostic.hint.startswith("did you mean"):
        return diagnostic
    written = diagnostic.lines[0][diagnostic.span.column - 1 : diagnostic.span.end_column - 1]
    return replace(diagnostic, hint=parser.near(written) or diagnostic.hint)


def add_manifest(parser: Parser, *, many: bool = False) -> None:
    """Adds the positional that most commands have."""
    arguments: dict[str, Any] = {"nargs": "+"} if many else {}
    name = "manifests" if many else "manifest"
    parser.add_argument(name, metavar="MANIFEST", type=Path, help="a manifest, a YAML file", **arguments)


def add_target(parser: Parser, *, does: str = "where to run", default: str = "compute.target of the manifest") -> None:
    """Adds the option that names a target."""
    parser.add_argument("--target", choices=TARGETS, help=f"{does}; default: {default}")
