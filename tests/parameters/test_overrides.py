from __future__ import annotations

import os
import random
import time
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from innereye_runtime.parameters.annotations import ANY, NONE, Type
from innereye_runtime.parameters.overrides import Override, parse, values_of
from innereye_runtime.parameters.parameter import Parameter
from innereye_runtime.parameters.values import ValueProblemError

WORDS = st.text(st.characters(exclude_characters=",", categories=("L", "N", "P", "S")), min_size=1)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
COUNT = int(os.environ.get("INNEREYE_FUZZ") or (50_000 if os.environ.get("CI") == "true" else 2_500))
CHOICES = ("UNet", "ResNet", "v2")
ROUND_TRIPS: dict[str, tuple[Parameter, st.SearchStrategy[Any]]] = {
    "boolean": (Parameter(name="p", kind="boolean"), st.booleans()),
    "integer": (Parameter(name="p", kind="integer"), st.integers()),
    "number": (Parameter(name="p", kind="number"), FLOATS | st.integers()),
    "string": (Parameter(name="p", kind="string"), st.text()),
    "path": (Parameter(name="p", kind="path"), WORDS.map(Path)),
    "enum": (Parameter(name="p", kind="enum", choices=CHOICES), st.sampled_from(CHOICES)),
    "date": (Parameter(name="p", kind="date"), st.dates()),
    "list of text": (Parameter(name="p", kind="list", item="string"), st.lists(WORDS)),
    "list of integers": (Parameter(name="p", kind="list", item="integer"), st.lists(st.integers())),
    "list of numbers": (Parameter(name="p", kind="list", item="number"), st.lists(FLOATS)),
    "list of choices": (Parameter(name="p", kind="list", choices=CHOICES), st.lists(st.sampled_from(CHOICES))),
    "list of paths": (Parameter(name="p", kind="list", item="path"), st.lists(WORDS.map(Path))),
    "tuple": (Parameter(name="p", kind="tuple", item="number", length=3), st.tuples(FLOATS, FLOATS, FLOATS)),
    "integer tuple": (Parameter(name="p", kind="tuple", item="integer", length=2), st.tuples(*[st.integers()] * 2)),
}


@pytest.mark.parametrize("case", ROUND_TRIPS)
@given(data=st.data())
def test_what_is_written_is_what_is_read(case: str, data: st.DataObject) -> None:
    parameter, values = ROUND_TRIPS[case]
    value = data.draw(values)
    text = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    override = Override.parse(f"--p={text}")
    assert (override.name, override.text) == ("p", text)
    found = parse(parameter, override.text)
    assert found == value
    assert type(found) is type(value)


@given(text=st.text(), case=st.sampled_from(sorted(ROUND_TRIPS)))
def test_any_text_is_a_value_or_a_sentence_that_names_the_parameter(text: str, case: str) -> None:
    try:
        parse(ROUND_TRIPS[case][0], text)
    except ValueError as error:
        assert "p " in str(error)


ANNOTATED = {
    "x": Type("union", (Type("number"), NONE)),
    "size": Type("union", (Type("integer"), Type("list", (Type("integer"),)))),
    "pair": Type("tuple", (Type("number"), Type("string")), length=2),
    "mode": Type("enum", choices=("mean", "sum")),
    "table": Type("dict", (Type("boolean"),)),
    "folder": Type("union", (Type("path"), NONE)),
    "loss": Type("object", label="torch.nn.Module"),
    "other": ANY,
}
PARAMETERS = {
    **{case.replace(" ", "_"): replace(parameter, name=case) for case, (parameter, _) in ROUND_TRIPS.items()},
    **{f"model.{name}": Parameter(name=f"model.{name}", kind="any", type=one) for name, one in ANNOTATED.items()},
}
PIECES = [
    *(
        "--",
        "=",
        ",",
        ".",
        "-",
        "_",
        "no_",
        "--no-",
        "[",
        "]",
        "{",
        "}",
        "(",
        ")",
        '"',
        "'",
        ":",
        " ",
        "\t",
        "\n",
        "\\",
    ),
    *(
        "1",
        "0",
        "9" * 40,
        "1e-3",
        "1e999",
        "-inf",
        ".nan",
        "0x1f",
        "1_0",
        "on",
        "~",
        "null",
        "true",
        "False",
        "2024-02-30",
    ),
    *(
        "\ud800",
        "\x00",
        "\x1b[31m",
        "\u2013",
        "\u0661",
        "\U0001f9e0",
        "${run}",
        "${dataset.1}",
        "${",
        "../..",
        "class",
        "mean",
    ),
    *PARAMETERS,
]


def test_any_word_of_the_command_line_gets_values_or_a_sentence_within_a_second() -> None:
    rng = random.Random("overrides")
    for _ in range(COUNT):
        words = "".join(rng.choice(PIECES) for _ in range(rng.randrange(1, 9)))
        word = rng.choice((words, f"--{rng.choice(list(PARAMETERS))}={words}"))
        started = time.process_time()
        try:
            values_of(PARAMETERS, [word])
        except ValueError as error:
            assert str(error), word
        assert time.process_time() - started < 1.0, word


@pytest.mark.parametrize("text", ["1" + "0" * 400, "-1" + "0" * 400, "1e400", "9" * 5000])
def test_a_number_beyond_any_float_is_none_and_no_infinity(text: str) -> None:
    with pytest.raises(ValueProblemError, match=r"p must be a number, not '?-?[19]"):
        parse(Parameter(name="p", kind="number"), text)
    assert parse(Parameter(name="p", kind="number"), "-inf") == float("-inf")


@pytest.mark.parametrize(
    "text", ["[" * 3000, "[" * 3000 + "]" * 3000, "[" * 500 + "]" * 500, '{"a":' * 65 + "1" + "}" * 65]
)
def test_a_value_nested_without_end_is_refused(text: str) -> None:
    with pytest.raises(ValueProblemError, match="p must be"):
        parse(Parameter(name="p", kind="dict"), text)
    assert parse(Parameter(name="p", kind="any"), text) == text


@pytest.mark.parametrize("word", ["on", "t", "true", "y", "yes", "1", "ON", "True", "YES", "T"])
def test_words_for_true(word: str) -> None:
    assert parse(Parameter(name="p", kind="boolean"), word) is True


@pytest.mark.parametrize("word", ["off", "f", "false", "n", "no", "0", "OFF", "False", "NO", "F"])
def test_words_for_false(word: str) -> None:
    assert parse(Parameter(name="p", kind="boolean"), word) is False


def test_a_flag_is_true_and_its_negation_false() -> None:
    parameters = {"flag": Parameter(name="flag", kind="boolean"), "no_more": Parameter(name="no_more", kind="boolean")}
    assert values_of(parameters, ["--flag", "--no-more"]) == {"flag": True, "no_more": True}
    assert values_of(parameters, ["--no-flag"]) == {"flag": False}
    assert values_of(parameters, ["--no_flag"]) == {"flag": False}
    with pytest.raises(ValueError, match="no parameter 'no_flag'"):
        values_of(parameters, ["--no-flag=true"])


def test_the_last_of_several_counts_and_hyphens_are_underscores() -> None:
    parameters = {"num_layers": Parameter(name="num_layers", kind="integer")}
    assert values_of(parameters, ["--num_layers=1", "--num-layers=2"]) == {"num_layers": 2}


@pytest.mark.parametrize("kind", ["integer", "number"])
def test_an_empty_number_is_the_default(kind: Any) -> None:
    assert parse(Parameter(name="p", kind=kind, default=7), "") == 7


@pytest.mark.parametrize(
    ("parameter", "text", "sentence"),
    [
        (Parameter(name="p", kind="boolean"), "maybe", "p must be true or false, not 'maybe'"),
        (Parameter(name="p", kind="integer"), "1.0", "p must be a whole number, not '1.0'"),
        (Parameter(name="p", kind="integer"), "True", "p must be a whole number, not 'True'"),
        (Parameter(name="p", kind="number"), "nan", "p must be a number"),
        (Parameter(name="p", kind="number", bounds=(0, 1), inclusive=(True, False)), "1", "at least 0 and less than 1"),
        (Parameter(name="p", kind="integer"), None, "p needs a value"),
        (Parameter(name="p", kind="enum", choices=CHOICES), "unett", "one of UNet, ResNet, v2, not 'unett'"),
        (Parameter(name="p", kind="tuple", item="number", length=3), "1,2", "must have 3 items, not 2"),
        (Parameter(name="p", kind="list", item="integer"), "1,b", "item 2 of p must be a whole number, not 'b'"),
        (Parameter(name="p", kind="list", item="integer", bounds=(0, 2)), "1,2,3", "at most 2 items, not 3"),
        (Parameter(name="p", kind="path"), "", "p must be a path, not empty"),
        (Parameter(name="p", kind="dict"), "a", "p must be a mapping"),
    ],
)
def test_a_wrong_value_is_told_in_a_sentence(parameter: Parameter, text: str | None, sentence: str) -> None:
    with pytest.raises(ValueError) as error:
        parse(parameter, text)
    assert sentence in str(error.value)


@pytest.mark.parametrize("kind", ["path", "enum", "tuple", "dict", "date"])
def test_empty_text_is_no_value_where_that_is_one(kind: Any) -> None:
    assert parse(Parameter(name="p", kind=kind, optional=True, choices=CHOICES, default=1), " ") is None


def test_choices_are_found_in_any_case_and_given_as_declared() -> None:
    assert parse(Parameter(name="p", kind="enum", choices=CHOICES), "unet") == "UNet"
    assert parse(Parameter(name="p", kind="enum", choices=(1, 2)), "2") == 2


def test_the_exact_choice_wins_over_one_in_another_case() -> None:
    assert parse(Parameter(name="p", kind="enum", choices=("a", "A")), "A") == "A"


def test_an_empty_list_an_unset_path_and_json() -> None:
    assert parse(Parameter(name="p", kind="list", item="string"), "") == []
    assert parse(Parameter(name="p", kind="path", optional=True), "") is None
    assert parse(Parameter(name="p", kind="dict"), '{"a": [1]}') == {"a": [1]}
    assert parse(Parameter(name="p", kind="date"), "2026-11-24") == date(2026, 11, 24)


def test_a_day_is_its_first_moment_where_the_bounds_are_moments() -> None:
    moments = Parameter(name="p", kind="date", bounds=(datetime(2019, 1, 1), datetime(2025, 1, 1)))
    assert parse(moments, "2021-02-03") == datetime(2021, 2, 3)
    assert parse(moments, "2021-02-03T10:11") == datetime(2021, 2, 3, 10, 11)
    with pytest.raises(ValueProblemError, match="at least 2019-01-01"):
        parse(moments, "2018-02-03")
    days = Parameter(name="p", kind="date", bounds=(date(2019, 1, 1), None))
    assert parse(days, "2021-02-03") == date(2021, 2, 3)
    with pytest.raises(ValueProblemError, match="p must be a date as 2019-01-01 is, not 2021-02-03 10:11:00"):
        parse(days, "2021-02-03T10:11")


def test_what_is_no_whole_number_is_not_told_to_be_written_without_quotes() -> None:
    with pytest.raises(ValueProblemError) as error:
        parse(Parameter(name="p", kind="integer"), "1.5")
    assert error.value.hint == ""


@pytest.mark.parametrize("word", ["l_rate=1", "-l_rate=1", "--", "--=3", "--1a=3", "manifest.yaml"])
def test_a_word_that_is_no_override_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match="is not an override"):
        Override.parse(word)


@pytest.mark.parametrize("name", ["_secret", "version", "nothing"])
def test_private_and_constant_parameters_are_no_options(name: str) -> None:
    parameters = {name: Parameter(name=name, kind="integer", settable=False)} if name != "nothing" else {}
    with pytest.raises(ValueError, match=name):
        values_of(parameters, [f"--{name}=3"])
