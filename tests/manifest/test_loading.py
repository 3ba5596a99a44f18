"""Files and texts on their way in: what is there when something is wrong, and what is said when nothing is there."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from innereye_runtime.errors import ExitCode, UsageError
from innereye_runtime.manifest.loading import load, parse
from innereye_runtime.manifest.model import Container
from innereye_runtime.manifest.units import Duration, Memory

VALID = "schema: 1\ncontainer: {class: HelloContainer, args: {l_rate: 1e-2}}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "hello.yaml").write_text(VALID)
    return tmp_path


def test_paths_are_relative_to_the_manifest(folder: Path) -> None:
    (folder / "sub").mkdir()
    path = folder / "sub" / "m.yaml"
    path.write_text(VALID + "dataset: {local: ../data/./x}\noutputs: {folder: /tmp/../outputs}\n")
    manifest = load(path).manifest
    assert manifest is not None
    assert manifest.path == path
    assert manifest.datasets[0].local == folder / "data" / "x"
    assert manifest.outputs.folder == Path("/outputs")


def test_a_text_without_a_file_takes_the_working_directory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    manifest = parse((VALID + "dataset: {local: data}\n").encode(), path=None, source="<text>").manifest
    assert manifest is not None
    assert manifest.path is None
    assert manifest.datasets[0].local == folder / "data"


def test_the_home_folder_can_be_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    manifest = parse((VALID + "dataset: {local: ~/data}\n").encode(), path=None, source="<text>").manifest
    assert manifest is not None
    assert manifest.datasets[0].local == Path("/home/someone/data")


def test_units_are_types() -> None:
    text = VALID + "compute: {shm_size: 1.5 GiB, max_duration: 1h30m, gpus: [0, 3], docker: {cpus: 2, memory: 8G}}\n"
    manifest = parse(text.encode(), path=None, source="m").manifest
    assert manifest is not None
    compute = manifest.compute
    assert compute.shm_size == Memory(3 << 29)
    assert compute.max_duration == Duration(5400)
    assert compute.gpus == (0, 3)
    assert compute.docker.memory == Memory(8 << 30)
    assert compute.docker.cpus == 2


def test_a_manifest_is_frozen() -> None:
    manifest = parse(VALID.encode(), path=None, source="m").manifest
    assert manifest is not None
    with pytest.raises(dataclasses.FrozenInstanceError):
        manifest.name = "other"  # type: ignore[misc]


def test_the_container_is_there_when_only_other_keys_are_wrong() -> None:
    loaded = parse((VALID + "trainner: {}\n").encode(), path=None, source="m")
    assert loaded.manifest is None
    assert loaded.container == Container(class_name="HelloContainer", args={"l_rate": 0.01})
    assert loaded.document is not None
    assert loaded.document.span(("container", "args", "l_rate")).column == 51
    assert loaded.document.span(("container", "args", "l_rate"), key=True).column == 43


def test_the_container_is_not_there_when_it_is_wrong_itself() -> None:
    assert parse(b"schema: 1\ncontainer: {class: 3}\n", path=None, source="m").container is None


def test_the_target_of_the_command_line_is_the_one_that_is_checked(folder: Path) -> None:
    loaded = load(folder / "hello.yaml", target="azureml")
    assert [diagnostic.code for diagnostic in loaded.diagnostics] == ["E105"]
    (folder / "hello.yaml").write_text(VALID + "compute: {target: process, azureml: {cluster: gpu}}\n")
    manifest = load(folder / "hello.yaml", target="azureml").manifest
    assert manifest is not None
    assert manifest.compute.target == "azureml"


def test_a_manifest_is_shown_as_the_user_named_it(folder: Path) -> None:
    (folder / "hello.yaml").write_text("schema: 2\n")
    assert load(folder / "hello.yaml", source="../hello.yaml").diagnostics[0].source == "../hello.yaml"
    assert load(folder / "hello.yaml").diagnostics[0].source == str(folder / "hello.yaml")


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("helo.yaml", "there is no manifest '{}/helo.yaml'", "did you mean '{}/hello.yaml'?"),
        ("zzz", "there is no manifest '{}/zzz'", "manifests there: hello.yaml"),
        ("", "'{}' is a folder, not a manifest", "manifests there: hello.yaml"),
    ],
)
def test_a_file_that_is_not_there_is_told_with_what_is(folder: Path, name: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as raised:
        load(folder / name if name else folder)
    # a long path is cut short in a message
    assert str(raised.value)[:20] == message.format(folder)[:20]
    assert raised.value.hint[:12] == hint.format(folder)[:12]
    assert raised.value.exit_code == ExitCode.USAGE


def test_a_folder_that_is_not_there_is_told_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(UsageError) as raised:
        load(Path("nowhere/m.yaml"))
    assert str(raised.value) == "there is no manifest 'nowhere/m.yaml'"
    assert raised.value.hint.startswith("the folder 'nowhere' is not there either")


@pytest.mark.parametrize(
    ("name", "reason"),
    [("a\0b", "null byte"), ("x" * 300, "File name too long"), ("hello.yaml/m.yaml", "Not a directory")],
    ids=["a null byte", "a long name", "below a file"],
)
def test_a_name_that_no_file_can_have_is_no_traceback(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, reason: str
) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(UsageError, match=reason):
        load(Path(name))


@pytest.mark.parametrize(("name", "what"), [("train.py", "Python"), ("train.ipynb", "a notebook")])
def test_a_program_is_no_manifest(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, what: str) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(UsageError, match="there is no manifest"):
        load(Path(name))
    Path(name).write_text("print()")
    with pytest.raises(UsageError) as raised:
        load(Path(name))
    assert str(raised.value) == f"'{name}' is {what}, not a manifest"
    assert raised.value.hint.endswith("names the class in it: container: {class: package.module:ClassName}")


def test_a_misspelt_name_is_compared_with_manifests_before_other_files(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    Path("lungs.yml").touch()
    with pytest.raises(UsageError) as raised:
        load(Path("lung.yml"))
    assert raised.value.hint == "did you mean 'lungs.yml'?"
    for number in range(5):
        Path(f"m{number}.yaml").touch()
    with pytest.raises(UsageError) as raised:
        load(folder)
    assert raised.value.hint == "manifests there: hello.yaml, lungs.yml, m0.yaml, m1.yaml, m2.yaml"


def test_a_file_above_the_limit_is_not_read_to_its_end(folder: Path) -> None:
    (folder / "big.yaml").write_bytes(b"#" * (300 * 1024))
    found = load(folder / "big.yaml").diagnostics
    assert [diagnostic.code for diagnostic in found] == ["E002"]


def in_brackets(depth: int) -> str:
    """A manifest whose deepest value is at level `depth`; its top is level 1, a value in `args` level 4."""
    return "schema: 1\ncontainer: {class: A, args: {a: " + "[" * (depth - 4) + "1" + "]" * (depth - 4) + "}}\n"


def in_lines(depth: int) -> str:
    keys = ["a"] * (depth - 3)
    lines = "".join("  " * (level + 2) + f"{key}:\n" for level, key in enumerate(keys[:-1]))
    return "schema: 1\ncontainer:\n  class: A\n  args:\n" + lines + "  " * (depth - 2) + "a: 1\n"


def with_nodes(count: int) -> str:
    """A manifest of `count` keys and values, mappings and lists among them."""
    return "schema: 1\ncontainer: {class: A, args: {a: [" + "1," * (count - 11) + "]}}\n"


def as_long_as(size: int) -> str:
    return VALID + "#" * (size - len(VALID) - 1) + "\n"


def of_lines(count: int) -> str:
    return VALID + "\n" * (count - 3)


@pytest.mark.parametrize(
    ("make", "most", "code"),
    [
        (in_brackets, 64, "E015"),
        (in_lines, 64, "E015"),
        (with_nodes, 20_000, "E014"),
        (as_long_as, 256 * 1024, "E002"),
        (of_lines, 20_000, "E002"),
    ],
)
def test_a_limit_is_the_last_that_is_allowed(make: Callable[[int], str], most: int, code: str) -> None:
    assert parse(make(most).encode(), path=None, source="m").diagnostics == ()
    (diagnostic,) = parse(make(most + 1).encode(), path=None, source="m").diagnostics
    assert diagnostic.code == code
    assert diagnostic.hint


def test_an_alias_is_as_deep_as_what_it_names() -> None:
    text = "schema: 1\ncontainer: {class: A, args: {a: &a [[[[1]]]], b: " + "[" * 56 + "*a" + "]" * 56 + "}}\n"
    assert parse(text.encode(), path=None, source="m").diagnostics == ()
    (diagnostic,) = parse(text.replace("*a", "[*a]").encode(), path=None, source="m").diagnostics
    assert diagnostic.code == "E015"
