"""`innereye-run completion SHELL`: a script for the shell, which asks this module for candidates at every Tab.

Candidates are commands, options and their values, YAML files and run folders, and the parameters of the container that
the manifest on the line names, with the values of those that have a few.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from innereye_runtime.cli.ui.parser import Parser
from innereye_runtime.errors import ExitCode, InnerEyeError

if TYPE_CHECKING:
    from innereye_runtime.parameters.parameter import Parameter

_OF_RUNS = ("report", "verify", "resume", "status", "logs", "stop", "ls", "compare", "rm")
"""Commands whose positional is a run folder."""

SCRIPTS = {
    "bash": r"""# innereye-run completion bash > ~/.local/share/bash-completion/completions/innereye-run
_innereye_run() {
    local line="${COMP_LINE:0:COMP_POINT}" candidate words typed
    read -ra words <<< "$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    typed="${words[-1]}"
    COMPREPLY=()
    while IFS=$'\t' read -r candidate _; do
        # To bash, what stands behind a '=' is a word of its own.
        [[ $typed == *=* && $COMP_WORDBREAKS == *=* ]] && candidate="${candidate#*=}"
        COMPREPLY+=("$candidate")
    done < <("$1" completion --candidates "${words[@]:1}" 2>/dev/null)
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=/] ]] && compopt -o nospace
    return 0
}
complete -o nosort -F _innereye_run innereye-run 2>/dev/null || complete -F _innereye_run innereye-run
""",
    "zsh": r"""#compdef innereye-run
# innereye-run completion zsh > "${fpath[1]}/_innereye-run"
_innereye_run() {
    local line value
    local -a whole whole_shown open open_shown
    for line in "${(@f)$("${words[1]}" completion --candidates "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
        [[ -n $line ]] || continue
        value="${line%%$'\t'*}"
        if [[ $value == *[=/] ]]; then
            open+=("$value") open_shown+=("${line/$'\t'/  }")
        else
            whole+=("$value") whole_shown+=("${line/$'\t'/  }")
        fi
    done
    compadd -l -V whole -d whole_shown -a whole
    compadd -l -V open -S '' -d open_shown -a open
}
if [[ ${funcstack[1]} == _innereye-run ]]; then _innereye_run "$@"; else compdef _innereye_run innereye-run; fi
""",
    "fish": r"""# innereye-run completion fish > ~/.config/fish/completions/innereye-run.fish
function __innereye_run
    set -l words (commandline -opc)
    $words[1] completion --candidates $words[2..] (commandline -ct) 2>/dev/null
end
complete -c innereye-run -f -k -a '(__innereye_run)'
""",
}


class Arguments(argparse.Namespace):
    shell: str


def parser() -> Parser:
    parser = Parser(
        "completion",
        usage="bash|zsh|fish",
        about="Prints the completion script of a shell: commands, options, manifests, and the parameters of the\n"
        "container that the manifest on the line names.",
        examples=[
            "source <(innereye-run completion bash)    # in ~/.bashrc",
            "source <(innereye-run completion zsh)     # in ~/.zshrc, after compinit",
            "innereye-run completion fish | source     # in ~/.config/fish/config.fish",
        ],
    )
    parser.add_argument("shell", metavar="SHELL", choices=tuple(SCRIPTS), help="bash, zsh or fish")
    return parser


def run(argv: Sequence[str]) -> int:
    if argv[:1] == ["--candidates"]:
        for value, about in candidates(argv[1:]):
            print(f"{value}\t{about}" if about else value)
        return ExitCode.DONE
    arguments, _ = parser().read(argv, Arguments())
    print(SCRIPTS[arguments.shell], end="")
    return ExitCode.DONE


def candidates(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """What the last of `words` (those behind the program's name) can become, each with a few words on it."""
    from innereye_runtime.cli.main import COMMANDS

    current, before = (words[-1], words[:-1]) if words else ("", ())
    named = bool(before) and before[0] in COMMANDS
    options: Parser = import_module(f"innereye_runtime.cli.commands.{before[0] if named else 'run'}").parser()
    if not before:
        yield from ((name, about) for name, about in COMMANDS.items() if name.startswith(current))
    if before and (values := options.choices_of(before[-1])) is not None:
        found: Iterator[tuple[str, str]] = ((value, "") for value in values)
    elif current.startswith("-"):
        found = _of_options(options, current, before)
    else:
        found = _of_positional(options, before[0] if named else "run", current, before[1:] if named else before)
    yield from ((value, about) for value, about in found if value.startswith(current))


def _of_options(options: Parser, current: str, before: Sequence[str]) -> Iterator[tuple[str, str]]:
    name, equals, _ = current.partition("=")
    if equals and (values := options.choices_of(name)) is not None:
        yield from ((f"{name}={value}", "") for value in values)
        return
    if not equals:
        yield from options.described()
    if options.takes_overrides:
        for parameter in _parameters(before).values():
            if parameter.settable:
                yield from _of_parameter(parameter, valued=bool(equals))


def _of_parameter(parameter: Parameter, *, valued: bool) -> Iterator[tuple[str, str]]:
    about = parameter.doc.strip().split("\n")[0]
    if not valued:
        yield f"--{parameter.name}" + ("" if parameter.kind == "boolean" else "="), about
        return
    values = ("true", "false") if parameter.kind == "boolean" else parameter.choices
    yield from ((f"--{parameter.name}={value}", "") for value in values)


def _parameters(words: Sequence[str]) -> Mapping[str, Parameter]:
    """Those of the container that a manifest among `words` names; none where there is no such manifest or class."""
    from innereye_runtime.introspection.code_root import search_path
    from innereye_runtime.introspection.discovery import find
    from innereye_runtime.introspection.static.class_reader import read
    from innereye_runtime.manifest.loading import load

    path = next((Path(word) for word in words if word.endswith((".yaml", ".yml")) and Path(word).is_file()), None)
    try:
        loaded = load(path) if path else None
        container = loaded.container if loaded is not None else None
        if path is None or loaded is None or container is None:
            return {}
        places = search_path(path, Path.cwd())
        if loaded.model is not None:
            from innereye_runtime.introspection.arguments.direct import read_direct
            from innereye_runtime.job.resolve import RUNTIME_PARAMETERS

            own = read(find(RUNTIME_PARAMETERS, (), places), places).parameters
            return read_direct(loaded, places).with_runtime(own)
        source = read(find(container.class_name, container.namespaces, places), places)
    except InnerEyeError:
        return {}
    return source.parameters


def _of_positional(options: Parser, command: str, current: str, before: Sequence[str]) -> Iterator[tuple[str, str]]:
    valued = [options.choices_of(word) is not None for word in ("", *before)]
    taken = [word for word, is_value in zip(before, valued, strict=False) if not (is_value or word.startswith("-"))]
    choices = ["ls", "clear"] if (command, taken) == ("data", ["cache"]) else options.choices_at(len(taken))
    if choices is None:
        return
    if choices:
        yield from ((choice, "") for choice in choices)
    else:
        yield from _paths(current, folders_only=command in _OF_RUNS)


def _paths(current: str, *, folders_only: bool) -> Iterator[tuple[str, str]]:
    """YAML files and folders, folders with a slash behind them; hidden ones where a dot was typed. A run ends there."""
    folder, _, name = current.rpartition("/")
    prefix = f"{folder}/" if "/" in current else ""
    try:
        entries = sorted(Path(prefix).expanduser().iterdir())
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith(".") and not name.startswith("."):
            continue
        if entry.is_dir():
            is_run = folders_only and (entry / "run.json").is_file()
            yield f"{prefix}{entry.name}" + ("" if is_run else "/"), "run" if is_run else ""
        elif not folders_only and entry.suffix in (".yaml", ".yml"):
            yield f"{prefix}{entry.name}", ""
