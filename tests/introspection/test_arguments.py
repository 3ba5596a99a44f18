from __future__ import annotations

from pathlib import Path
from typing import Any

import param
import pytest

from innereye_runtime import LightningContainer, LRSchedulerType
from innereye_runtime.errors import UsageError
from innereye_runtime.introspection.arguments.checker import CheckedArguments, apply, check
from innereye_runtime.manifest.loading import Loaded
from innereye_runtime.manifest.loading import parse as parse_manifest
from innereye_runtime.parameters.from_class import parameters_of
from innereye_runtime.parameters.overrides import Override
from innereye_runtime.parameters.parameter import UNKNOWN, Parameter

PARAMETERS = dict(parameters_of(LightningContainer)) | {
    "layers": Parameter(name="layers", kind="integer", default=3, bounds=(1, 10), origin="class"),
    "_secret": Parameter(name="_secret", kind="integer", default=1, settable=False, owner="Mine"),
    "version": Parameter(name="version", kind="integer", default=1, settable=False, owner="Mine"),
    "folder": Parameter(name="folder", kind="path", default=None, optional=True),
    "crop": Parameter(name="crop", kind="tuple", item="integer", length=2, default=(1, 1)),
    "computed": Parameter(name="computed", kind="integer"),
}


def manifest(args: str, rest: str = "") -> Loaded:
    text = f"schema: 1\ncontainer:\n  class: m:Mine\n  args:\n    {args}\n{rest}"
    return parse_manifest(text.encode(), path=Path("/code/manifests/m.yaml"), source="m.yaml")


def checked(args: str = "", *overrides: str, rest: str = "", **options: Any) -> CheckedArguments:
    loaded = manifest(args, rest) if args or rest else None
    return check(PARAMETERS, loaded=loaded, overrides=[Override.parse(word) for word in overrides], **options)


MANIFEST_PROBLEMS = {
    # args -> code, first and last column of line 5, a part of the message, a part of the hint
    "layer: 3": ("E301", 5, 10, "no parameter 'layer'", "did you mean 'layers'?"),
    "zzz: 3": ("E301", 5, 8, "no parameter 'zzz'", "innereye-run explain"),
    "_secret: 3": ("E302", 5, 12, "it is private in Mine", "delete it"),
    "version: 3": ("E302", 5, 12, "it is constant in Mine", "delete it"),
    "layers: true": ("E303", 13, 17, "must be a whole number, not true", "its default is 3"),
    'layers: "3"': ("E303", 13, 16, "must be a whole number, not '3'", "write 3 without quotes"),
    'layers: "3.5"': ("E303", 13, 18, "must be a whole number, not '3.5'", "its default is 3"),
    "layers: 3.0": ("E303", 13, 16, "must be a whole number, not 3", "write 3"),
    'l_rate: "1e-2"': ("E303", 13, 19, "must be a number, not '1e-2'", "write 1e-2 without quotes"),
    "l_rate: 1_0.5": ("E303", 13, 18, "must be a number, not '1_0.5'", "write 10.5: YAML 1.2 has no '_' in numbers"),
    "layers: 1_0": ("E303", 13, 16, "must be a whole number, not '1_0'", "write 10: YAML 1.2 has no '_' in numbers"),
    "model_id: 5": ("E303", 15, 16, "must be text, not 5", 'write "5", in quotes'),
    "weights_url: http": ("E303", 18, 22, "must be a list, not 'http'", "write [http]"),
    "detect_anomaly: yes": ("E303", 21, 24, "must be true or false, not 'yes'", "write true or false"),
    "layers: null": ("E303", 13, 17, "must be a whole number, not empty", "its default is 3"),
    "layers: 11": ("E304", 13, 15, "at least 1 and at most 10, not 11", "its default is 3"),
    "l_rate: -1": ("E304", 13, 15, "at least 0, not -1", "its default is 0.0001"),
    "l_rate_scheduler: Cosin": ("E305", 23, 28, "one of Exponential, Step, Polynomial", "did you mean 'Cosine'?"),
    "crop: [1, 2, 3]": ("E306", 11, 20, "must have 2 items, not 3", "its default is [1, 1]"),
    "{max_epochs: 3, num_epochs: 4}": ("E307", 33, 34, "num_epochs is 4 here, and 'max_epochs' says 3", "set it once"),
    "cross_validation_split_index: 2": (
        "E308",
        35,
        36,
        "needs number_of_cross_validation_splits",
        "change cross_validation_split_index",
    ),
    "crossval_index: 2": (
        "E308",
        21,
        22,
        "needs number_of_cross_validation_splits",
        "change cross_validation_split_index",
    ),
}


@pytest.mark.parametrize("args", MANIFEST_PROBLEMS)
def test_a_problem_in_the_manifest_is_told_at_its_place(args: str) -> None:
    code, column, end, message, hint = MANIFEST_PROBLEMS[args]
    (problem,) = checked(args).diagnostics
    assert (problem.code, problem.severity, problem.source) == (code, "error", "m.yaml")
    assert (problem.span.line, problem.span.column, problem.span.end_column) == (5, column, end)
    assert problem.lines == (f"    {args}",)
    assert message in problem.message
    assert problem.hint and hint in problem.hint


OVERRIDE_PROBLEMS = {
    "--layer=3": ("E401", 11, 18, "no parameter 'layer'"),
    "--version=3": ("E402", 11, 20, "constant"),
    "--layers=x": ("E403", 20, 21, "must be a whole number, not 'x'"),
    "--layers": ("E403", 11, 19, "needs a value"),
    "--layers=11": ("E404", 20, 22, "at most 10"),
    "--l-rate-scheduler=Cosin": ("E405", 30, 35, "one of Exponential"),
    "--crop=1": ("E406", 18, 19, "2 items"),
    "--crossval_index=2": ("E408", 28, 29, "needs number_of_cross_validation_splits"),
}


@pytest.mark.parametrize("word", OVERRIDE_PROBLEMS)
def test_a_problem_on_the_command_line_is_told_at_its_place(word: str) -> None:
    code, column, end, message = OVERRIDE_PROBLEMS[word]
    (problem,) = checked("", "--folder=", word).diagnostics
    assert (problem.code, problem.source, problem.lines) == (code, "<command line>", (f"--folder= {word}",))
    assert (problem.span.line, problem.span.column, problem.span.end_column) == (1, column, end)
    assert message in problem.message


def test_every_problem_is_told_in_source_order() -> None:
    found = checked("{layers: 11, zzz: 1, cross_validation_split_index: 3, crop: 1}", "--l_rate=x", "--zz")
    assert [problem.code for problem in found.diagnostics] == ["E304", "E301", "E308", "E303", "E403", "E401"]


def test_where_parameters_may_be_missing_an_unknown_name_is_a_warning() -> None:
    found = checked("layer: 3", "--zzz=3", incomplete=True)
    problems = [(problem.code, problem.severity) for problem in found.diagnostics]
    assert problems == [
        ("W301", "warning"),
        ("W401", "warning"),
    ]


def test_later_origins_win() -> None:
    found = checked("{l_rate: 0.1, momentum: 0.2}", "--l_rate=0.3").arguments
    values = {name: (found[name].value, found[name].origin) for name in ("l_rate", "momentum", "layers", "opt_eps")}
    assert values == {
        "l_rate": (0.3, "command line"),
        "momentum": (0.2, "manifest"),
        "layers": (3, "class"),
        "opt_eps": (1e-4, "default"),
    }
    assert found["computed"].value is UNKNOWN
    assert "_secret" not in found


def test_an_empty_number_leaves_what_the_manifest_says() -> None:
    argument = checked("l_rate: 0.1", "--l_rate=").arguments["l_rate"]
    assert (argument.value, argument.origin) == (0.1, "manifest")


def test_the_trainers_epochs_are_the_containers() -> None:
    found = checked("l_rate: 0.1", rest="trainer: {num_epochs: 7}\n")
    assert found.diagnostics == ()
    assert found.arguments["num_epochs"].value == found.arguments["max_epochs"].value == 7
    (problem,) = checked("num_epochs: 3", rest="trainer: {num_epochs: 7}\n").diagnostics
    assert (problem.code, problem.span.line) == ("E307", 6)
    assert checked("num_epochs: 7", rest="trainer: {num_epochs: 7}\n").diagnostics == ()


def test_the_trainers_epochs_are_read_where_other_keys_are_wrong() -> None:
    found = checked("l_rate: 0.1", rest="trainer: {num_epochs: 7}\nunknown: 1\n")
    assert found.arguments["num_epochs"].value == 7


def test_second_names_follow_what_they_stand_for() -> None:
    found = checked("{crossval_count: 5, local_datasets: [/a, b]}", "--max_epochs=4").arguments
    assert found["number_of_cross_validation_splits"].value == 5
    assert found["local_dataset"].value == Path("/a")
    assert found["extra_local_dataset_paths"].value == [Path("/code/manifests/b")]
    assert found["local_datasets"].value == [Path("/a"), Path("/code/manifests/b")]
    assert (found["num_epochs"].value, found["num_epochs"].origin) == (4, "command line")


def test_relative_paths_count_from_the_manifest_and_from_the_working_directory() -> None:
    assert checked("folder: data").arguments["folder"].value == Path("/code/manifests/data")
    assert checked("", "--folder=data", cwd=Path("/here")).arguments["folder"].value == Path("/here/data")
    assert checked("", "--folder=/data", cwd=Path("/here")).arguments["folder"].value == Path("/data")


def test_what_was_given_is_set_on_the_container_and_nothing_else() -> None:
    container = LightningContainer(momentum=0.3, random_seed=7)
    words = ["--l_rate_scheduler=cosine", "--crossval_count=3", "--adam_betas=0.5,0.6", "--local_datasets=/a,/b"]
    apply(container, check(parameters_of(container), overrides=[Override.parse(word) for word in words]))
    assert container.l_rate_scheduler is LRSchedulerType.Cosine
    assert container.number_of_cross_validation_splits == 3
    assert container.adam_betas == (0.5, 0.6)
    assert container.extra_local_dataset_paths == [Path("/b")]
    assert (container.momentum, container.random_seed) == (0.3, 7)


def test_what_the_class_refuses_is_a_usage_error() -> None:
    class Picky(LightningContainer):
        def validate(self) -> None:
            super().validate()
            if self.num_epochs == 13:
                raise ValueError("not thirteen")

    container = Picky()
    found = check(parameters_of(container), overrides=[Override.parse("--num_epochs=13")])
    with pytest.raises(UsageError, match="Picky: not thirteen"):
        apply(container, found)


def test_a_value_that_only_the_class_refuses_is_named() -> None:
    container = LightningContainer()
    loose = {"num_epochs": Parameter(name="num_epochs", kind="any")}
    found = check(loose, overrides=[Override.parse("--num_epochs=many")])
    with pytest.raises(UsageError, match="does not take num_epochs='many'"):
        apply(container, found)


def test_a_whole_number_is_given_as_a_float_where_param_takes_no_other() -> None:
    class Mine(LightningContainer):
        weights = param.List([0.5], class_=float)
        share = param.ClassSelector(class_=float, default=0.5, allow_None=True)

    container = Mine()
    apply(container, check(parameters_of(container), overrides=[Override.parse("--weights=1,2.5")]))
    apply(container, check(parameters_of(container), loaded=manifest("share: 1")))
    assert [type(value) for value in (*container.weights, container.share)] == [float] * 3
    apply(container, check(parameters_of(container), loaded=manifest("share: null")))
    assert (container.weights, container.share) == ([1.0, 2.5], None)


def test_only_what_is_given_is_set() -> None:
    class Mine(LightningContainer):
        versions = param.List([3], constant=True)
        layers = param.Integer(1)

    container = Mine()
    apply(container, check(parameters_of(container), overrides=[Override.parse("--layers=2")]))
    assert (container.layers, container.versions) == (2, [3])


def test_what_a_class_contradicts_by_itself_is_told_by_the_class_alone() -> None:
    parameters = PARAMETERS | {
        "cross_validation_split_index": Parameter(name="cross_validation_split_index", kind="integer", default=3)
    }
    assert check(parameters, overrides=[Override.parse("--layers=2")]).diagnostics == ()


def test_a_list_over_two_parameters_has_the_origin_of_either() -> None:
    class First(LightningContainer):
        azure_dataset_id = "a"

    class Rest(LightningContainer):
        extra_azure_dataset_ids = ["b"]  # noqa: RUF012

    for cls, origin in ((LightningContainer, "default"), (First, "class"), (Rest, "class")):
        assert check(parameters_of(cls)).arguments["azure_datasets"].origin == origin


def test_a_wrong_tuple_or_item_is_told_as_a_list() -> None:
    pairs = PARAMETERS | {"pairs": Parameter(name="pairs", kind="list", item="tuple", default=[])}
    (problem,) = check(pairs, loaded=manifest("crop: null")).diagnostics
    assert problem.message == "crop must be a list, not empty"
    checked_pairs = check(pairs, loaded=manifest("pairs: [[1, 2], [3, 4]]"))
    assert (checked_pairs.diagnostics, checked_pairs.arguments["pairs"].value) == ((), [[1, 2], [3, 4]])
