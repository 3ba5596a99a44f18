"""A requirement with the place that it was written at, and all those of a manifest as one value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import InvalidRequirement
from packaging.requirements import Requirement as Parsed
from packaging.utils import canonicalize_name

_FILES = (".txt", ".toml", ".yml", ".yaml", ".lock")
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something in a requirements file, or in the list of the manifest, that can't be used."""

    code: str
    message: str
    hint: str
    index: int | None = None
    """Of the item in the manifest's list; None: it is in a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    text: str
    """As pip takes it, without options."""
    place: str
    """Where it is written: a file and a line, or the manifest's list."""
    hashes: tuple[str, ...] = ()
    wheel: Path | None = None
    """A wheel on this machine."""

    @property
    def parsed(self) -> Parsed:
        return Parsed(self.text)

    @property
    def name(self) -> str:
        return canonicalize_name(self.parsed.name)

    def applies(self, environment: Mapping[str, str]) -> bool:
        """Whether its marker holds in `environment`."""
        marker = self.parsed.marker
        return marker is None or marker.evaluate(dict(environment))


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirements:
    """Of one manifest, from whichever file."""

    requirements: tuple[Requirement, ...] = ()
    constraints: tuple[Requirement, ...] = ()
    options: tuple[str, ...] = ()
    """Lines of pip's options that choose where packages come from: `--extra-index-url https://...`."""
    python: str = ""
    """The versions of Python that the file is for, as a specifier."""
    place: str = ""
    """Of what says `python`."""
    system: tuple[str, ...] = ()
    file: Path | None = None
    """None: the manifest has a list."""
    hashed: bool = False
    """Every requirement has to have a hash."""

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables that stand in addresses, as `${NAME}`."""
        lines = [*self.options, *(each.text for each in self.requirements)]
        return tuple(sorted({name for line in lines for name in _VARIABLE.findall(line)}))


@dataclass(slots=True, kw_only=True)
class Reading:
    """What is found while files are read. Problems are collected, so that all of them are shown at once."""

    environment: Mapping[str, str]
    """Markers are evaluated in it, where a file has to be read for one Python."""
    requirements: list[Requirement] = field(default_factory=list)
    constraints: list[Requirement] = field(default_factory=list)
    options: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    python: str = ""
    place: str = ""
    hashed: bool = False

    def add(self, text: str, place: str, *, index: int | None = None, hashes: tuple[str, ...] = ()) -> None:
        """Takes a requirement as pip writes it."""
        try:
            parsed = Parsed(text)
        except InvalidRequirement:
            parsed = None
        if parsed is None or text.endswith(_FILES):
            shown = hidden(text)
            self.problem("E503", f"{place}: '{shown}' is not a requirement", _requirement_hint(shown), index=index)
            return
        if parsed.url and has_password(parsed.url):
            self.problem("E506", _password_message(place, parsed.url), PASSWORD_HINT, index=index)
            return
        self.requirements.append(Requirement(text=str(parsed), place=place, hashes=hashes))

    def problem(self, code: str, message: str, hint: str, *, index: int | None = None) -> None:
        self.problems.append(Problem(code=code, message=message, hint=hint, index=index))

    def option(self, name: str, value: str, place: str) -> None:
        """Takes an option of pip that says where packages come from."""
        if has_password(value):
            self.problem("E506", _password_message(place, value), PASSWORD_HINT)
        else:
            self.options.append(f"{name} {value}".strip())


PASSWORD_HINT = (
    "write https://${NAME}:${TOKEN}@HOST/..., whose values come from the caller's environment, or set it in pip's "
    "configuration; replace the password, since others can read the file"
)


def has_password(address: str) -> bool:
    """Whether an address has a password or a token as text, and not as the name of a variable."""
    match = re.search(r"://([^/@\s]+)@", address)
    if match is None or match[1] == "git":
        return False
    return any(part and not _VARIABLE.fullmatch(part) for part in match[1].split(":")[-1:])


def environment_of(python: str = "") -> dict[str, str]:
    """The environment for markers: of this interpreter, or of an image's Linux with that version of Python."""
    environment: dict[str, str] = {key: str(value) for key, value in default_environment().items()}
    if python:
        environment |= {
            "python_version": ".".join(python.split(".")[:2]), "python_full_version": python,
            "sys_platform": "linux", "platform_system": "Linux", "os_name": "posix",
        }  # fmt: skip
    return {**environment, "extra": ""}


def _password_message(place: str, address: str) -> str:
    return f"{place}: the address {hidden(address)} has a password or a token in it"


def hidden(text: str) -> str:
    """`text` without the user and the password of its addresses."""
    return re.sub(r"://[^/@\s]+@", "://...@", text)


def _requirement_hint(text: str) -> str:
    if re.fullmatch(r"[\w.-]+=[\w.*]+", text):
        name, _, version = text.partition("=")
        return f"write {name}=={version}: a single '=' is conda's"
    if match := re.fullmatch(r"([\w.-]+)\s+v?(\d[\w.]*)", text):
        return f"write {match[1]}=={match[2]}"
    if match := re.fullmatch(r"([\w.-]+)@v?(\d[\w.]*)", text):
        return f"write {match[1]}=={match[2]}"
    if re.match(r"[\w+]+://", text):
        return f"write NAME @ {text}"
    if text.endswith(_FILES):
        return f"for a file write 'requirements: {text}', without a list"
    return "write a name and versions, such as monai>=1.5"
