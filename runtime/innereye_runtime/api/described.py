"""A config as text: its public parameters and attributes, as the toolbox printed them and wrote them to args.txt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import param

_LONGEST: Final = 500


def description(config: param.Parameterized) -> str:
    """A line for each public parameter and attribute, by name."""
    values = {**config.param.values(), **public_attributes(config)}
    values.pop("name", None)
    lines = (f"    {name:<40}: {values[name]}" for name in sorted(values) if not name.startswith("_"))
    return "\n".join([f"{type(config).__name__}:", *lines])


def public_attributes(config: param.Parameterized) -> Mapping[str, str]:
    """What a class's own code has set on the instance, besides its parameters, in a line of text each. Neither methods
    nor what takes more than a few hundred characters.
    """
    parameters = config.param.objects("existing")
    own = {name: value for name, value in vars(config).items() if not name.startswith("_") and name not in parameters}
    return {name: text for name, value in own.items() if not callable(value) and (text := _in_a_line(value))}


def _in_a_line(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST and "\n" not in text else ""
