"""Settings of AzureML that stand neither in a manifest nor in the environment: those of the InnerEye toolbox's
settings.yml, beside the user's code, and of a file of the user's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from innereye_runtime.errors import UsageError

TOOLBOX_FILES = ("InnerEyePrivateSettings.yml", "InnerEye/settings.yml", "settings.yml")
"""The first one wins, as it did in the toolbox."""
_TOOLBOX_KEYS = {"workspace": "workspace_name"}


def user_file(environment: Mapping[str, str]) -> Path | None:
    """The place of the user's own file, whether it is there or not; None where there is no home folder."""
    if configuration := environment.get("XDG_CONFIG_HOME"):
        return Path(configuration) / "innereye-runtime" / "config.yaml"
    home = environment.get("HOME")
    return Path(home) / ".config" / "innereye-runtime" / "config.yaml" if home else None


def find_default(key: str, environment: Mapping[str, str], start: Path) -> tuple[str, Path] | None:
    """The value of `key` (as compute.azureml has it) and the file that it stands in. Files of the toolbox count from
    `start` or the nearest folder above.

    Raises:
        UsageError: a file can't be read.
    """
    for path, section, name in _places(key, environment, start):
        values = _read(path).get(section)
        if isinstance(values, Mapping) and values.get(name):
            return str(values[name]), path
    return None


def _places(key: str, environment: Mapping[str, str], start: Path) -> Iterator[tuple[Path, str, str]]:
    for folder in (start, *start.parents):
        for name in TOOLBOX_FILES:
            yield folder / name, "variables", _TOOLBOX_KEYS.get(key, key)
    if (path := user_file(environment)) is not None:
        yield path, "azureml", key


def _read(path: Path) -> Mapping[str, object]:
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return {}
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} can't be read: {error}", hint="mend the file, or take it away") from error
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        content: object = YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        problem = str(error).splitlines()[0]
        raise UsageError(f"{path} is not YAML: {problem}", hint="mend the file, or take it away") from error
    return content if isinstance(content, Mapping) else {}
