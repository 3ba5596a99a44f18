"""What the launching side writes, the running side reads."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from innereye_runtime.errors import UsageError
from innereye_runtime.job.entrypoint_args import EntrypointArgs, parse
from innereye_runtime.parameters.overrides import Override

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
paths = texts.map(lambda text: Path("/root") / text.strip("/").replace("/", "_"))
overrides = st.builds(lambda name, value: f"--{name}={value}", st.sampled_from(["num_layers", "l_rate", "x"]), texts)


@given(
    st.builds(
        EntrypointArgs,
        manifest=paths,
        overrides=st.lists(overrides, max_size=3).map(tuple),
        target=st.sampled_from([None, "process", "docker"]),
        smoke=st.booleans(),
        run_folder=st.none() | paths,
        code_root=st.none() | paths,
        cwd=st.none() | paths,
        datasets=st.lists(paths, max_size=3).map(tuple),
    )
)
def test_every_request_parses_back_to_itself(request: EntrypointArgs) -> None:
    assert parse(request.argv()) == request


def test_abbreviations_are_parameters_of_the_container_and_no_options() -> None:
    assert parse(["m.yaml", "--tar=3", "--smo"]).overrides == ("--tar=3", "--smo")


@pytest.mark.parametrize(("argv", "message"), [([], "MANIFEST"), (["m.yaml", "more"], "unexpected argument 'more'")])
def test_what_is_off_is_said(argv: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse(argv)


def test_a_parameter_that_is_called_like_an_option_here_stays_a_parameter() -> None:
    words = ("--dataset=lungs", "--smoke", "--target=kidney", "--x=1")
    request = parse(EntrypointArgs(manifest=Path("m.yaml"), overrides=words).argv())
    assert (request.target, request.smoke, request.datasets) == (None, False, ())
    assert [Override.parse(word).name for word in request.overrides] == ["dataset", "smoke", "target", "x"]
