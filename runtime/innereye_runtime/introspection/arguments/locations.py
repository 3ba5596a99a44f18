"""Where arguments are written: a manifest's text, or the command line; for diagnostics that point at the key or the
value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from innereye_runtime.diagnostics.diagnostic import Span
from innereye_runtime.parameters.overrides import Override

if TYPE_CHECKING:
    from innereye_runtime.manifest.loading import Loaded


@dataclass(frozen=True, slots=True, kw_only=True)
class ArgumentLocation:
    """One argument's key and value in a text."""

    key: Span
    value: Span
    source: str
    text: tuple[str, ...]
    """All lines of the source."""
    code_prefix: int
    """The first digit of its diagnostics' codes: 3 in a manifest, 4 on the command line."""
    label: str
    """The place in a sentence."""

    def lines(self, *, at_value: bool) -> tuple[str, ...]:
        span = self.value if at_value else self.key
        return self.text[span.line - 1 : span.end_line]


class ManifestText:
    """The arguments in a manifest, and where they stand."""

    def __init__(self, loaded: Loaded) -> None:
        self.loaded = loaded

    def arguments(self) -> Mapping[str, Any]:
        """`container.args`; empty where the container could not be read."""
        return self.loaded.container.args if self.loaded.container is not None else {}

    def num_epochs(self) -> int | None:
        """`trainer.num_epochs`, where it is there and the schema takes it."""
        if self.loaded.manifest is not None:
            return self.loaded.manifest.trainer.num_epochs
        value = self.loaded.document.value if self.loaded.document is not None else None
        trainer = value.get("trainer") if isinstance(value, dict) else None
        epochs = trainer.get("num_epochs") if isinstance(trainer, dict) else None
        return epochs if type(epochs) is int and epochs >= 1 else None

    def argument(self, name: str) -> ArgumentLocation:
        return self._place(("container", "args", name), f"'{name}'")

    def at(self, path: tuple[str | int, ...], name: str) -> ArgumentLocation:
        """The place of an argument of `model` or `data`."""
        return self._place(path, f"'{name}'")

    def trainer_epochs(self) -> ArgumentLocation:
        return self._place(("trainer", "num_epochs"), "trainer.num_epochs")

    def search_space(self, name: str, *step: str | int) -> ArgumentLocation:
        return self._place(("sweep", "search_space", name, *step), f"'{name}' of the search space")

    def container_class(self) -> ArgumentLocation:
        top = "model" if self.loaded.model is not None else "container"
        return self._place((top, "class"), "the class")

    def _place(self, path: tuple[str | int, ...], told: str) -> ArgumentLocation:
        document = self.loaded.document
        if document is None:
            nowhere = Span(1, 1, 1, 1)
            return ArgumentLocation(key=nowhere, value=nowhere, source="", text=("",), code_prefix=3, label=told)
        return ArgumentLocation(
            key=document.span(path, key=True),
            value=document.span(path),
            source=document.source,
            text=tuple(document.lines),
            code_prefix=3,
            label=told,
        )


class CommandLine:
    """All overrides as one line of text."""

    source = "<command line>"

    def __init__(self, overrides: Sequence[Override]) -> None:
        self.overrides = overrides
        self.line = " ".join(override.argument for override in overrides)

    def override(self, index: int) -> ArgumentLocation:
        argument = self.overrides[index].argument
        start = 1 + sum(len(override.argument) + 1 for override in self.overrides[:index])
        key, equals, text = argument.partition("=")
        end = start + len(argument)
        value = Span(1, start + len(key) + 1, 1, end) if equals and text else Span(1, start, 1, end)
        return ArgumentLocation(
            key=Span(1, start, 1, start + len(key)),
            value=value,
            source=self.source,
            text=(self.line,),
            code_prefix=4,
            label=key,
        )
