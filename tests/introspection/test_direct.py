"""What a user reads about a `model` or a `data` that is wrong, and what is understood of one that is right; nothing is
imported for it.

A case is a manifest in direct/golden, with the overrides in its last line. `GOLDEN=write` writes the texts anew: read
the difference before it is committed.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from innereye_runtime.diagnostics.rendering import render
from innereye_runtime.errors import ManifestError
from innereye_runtime.introspection.arguments import direct
from innereye_runtime.introspection.discovery import DiscoveryError, find
from innereye_runtime.job.resolve import Job, resolve_job
from innereye_runtime.manifest.serializer import dump

HERE = Path(__file__).parent / "direct"
CASES = sorted((HERE / "golden").glob("*.yaml"))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "project"
    shutil.copytree(HERE / "project", root, ignore=shutil.ignore_patterns("__pycache__"))
    (root / "my_project" / "broken.py").write_text("def broken(:\n")
    monkeypatch.chdir(root)
    return root


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_a_bad_model_or_data_is_told_as_the_golden_file_says(case: Path, project: Path) -> None:
    text = case.read_text()
    Path("manifest.yaml").write_text(text)
    _, _, overrides = text.partition("# overrides: ")

    with pytest.raises(ManifestError) as refused:
        resolve_job(Path("manifest.yaml"), cwd=project, overrides=overrides.split())

    told = render(refused.value.diagnostics, "text").replace(str(project), "PROJECT")
    expected = case.with_suffix(".txt")
    if os.environ.get("GOLDEN") == "write":
        expected.write_text(told)
    assert told == expected.read_text()
    assert "my_project" not in sys.modules


GOOD = """\
schema: 1
container: {args: {random_seed: 3}}
model:
  class: my_project.unet:UNet
  args:
    channels: 16
    mode: EXACT
    weights: unet.ckpt
    dropout: 1
    encoder: {class: my_project.unet:ResidualEncoder, args: {depth: 2, act: {class: "torch.nn:LeakyReLU"}}}
    blocks: [{class: my_project.unet:Encoder, args: {depth: 1}}]
data: {class: my_project.data:BrainData, args: {root: "${dataset}/train"}}
dataset: {local: data}
"""


LOGGERS = """\
trainer:
  arguments:
    logger:
    - {class: lightning.pytorch.loggers:WandbLogger, args: {project: lungs, offline: true, notes: "of ${run}"}}
    - {class: pytorch_lightning.loggers:CSVLogger, args: {save_dir: "${dataset.1}", version: 3}}
    - {class: tracker_that_is_not_here:Tracker, args: {project: lungs}}
"""


def resolved(project: Path, *overrides: str, text: str = GOOD) -> Job:
    Path("manifest.yaml").write_text(text)
    return resolve_job(Path("manifest.yaml"), cwd=project, overrides=overrides)


def values(job: Job) -> dict[str, Any]:
    return {name: (each.value, each.origin) for name, each in job.arguments.items() if "." in name}


def test_each_argument_has_its_value_and_its_origin(project: Path) -> None:
    found = values(
        resolved(project, "--model.lr=1e-2", "--model.encoder.depth=5", "--model.patch=1,2,3", "--data.masks=")
    )
    assert found["model.lr"] == (0.01, "command line")
    assert found["model.encoder.depth"] == (5, "command line")
    assert found["model.patch"] == ([1, 2, 3], "command line")
    assert found["model.weights"] == (project / "unet.ckpt", "manifest")
    assert found["model.channels"] == (16, "manifest")
    assert found["model.activation"] == ("nn.functional.relu", "default")
    assert found["model.encoder.width"] == (8, "default")
    assert found["model.encoder.act.class"][0] == "torch.nn:LeakyReLU"
    assert found["data.root"] == ("${dataset}/train", "manifest")
    assert "model.frozen" not in found  # the class sets it itself
    assert "l_rate" not in resolved(project).arguments  # the module has its own optimizer


def test_a_model_that_nothing_evaluates_is_a_warning(project: Path) -> None:
    assert resolved(project).warnings == ()
    (told,) = resolved(project, text="schema: 1\nmodel: {class: my_project.unet:OwnLoaders}\n").warnings
    assert (told.code, told.severity) == ("W313", "warning")
    assert told.message.startswith("OwnLoaders has neither a test_step nor an inference_step: it is trained")


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("--model.channels=3", 3),
        ("--model.lr=5", 5),
        ("--model.size=large", "large"),
        ("--model.mode=slow", "EXACT"),
        ("--model.dropout=null", None),
        ("--model.dropout=.5", 0.5),
        ("--model.classes=a,b", ["a", "b"]),
        ('--model.classes=["a, b"]', ["a, b"]),
        ("--model.classes=1,2", ["1", "2"]),
        ('--model.options={"a": 1}', {"a": 1}),
        ("--model.name=3", 3),
        ("--data.root=3", "3"),
        ("--data.batch-size=8", 8),
    ],
)
def test_an_override_is_read_by_the_annotation(project: Path, override: str, value: Any) -> None:
    name = override.removeprefix("--").partition("=")[0].replace("-", "_")
    assert values(resolved(project, override))[name] == (value, "command line")


def test_the_effective_manifest_repeats_the_job_from_any_folder(project: Path, tmp_path: Path) -> None:
    job = resolved(project, "--model.lr=1e-2", "--model.encoder.depth=5", "--model.blocks=null", "--random_seed=7")
    elsewhere = tmp_path / "run" / "manifest.yaml"
    elsewhere.parent.mkdir()
    elsewhere.write_text(dump(job.manifest))

    again = resolve_job(elsewhere, cwd=tmp_path, root=project)

    assert {name: value for name, (value, _) in values(again).items()} == {n: v for n, (v, _) in values(job).items()}
    assert again.arguments["random_seed"].value == 7
    assert dump(again.manifest) == dump(job.manifest)


def test_a_class_that_is_not_installed_here_is_said_and_left_to_the_running_side(project: Path) -> None:
    text = GOOD.replace("torch.nn:LeakyReLU", "no_such_package.nets:Act, args: {slope: 0.1}")
    job = resolved(project, text=text.replace('"no_such', "no_such").replace('0.1}"}', "0.1}}"))
    assert [(each.code, each.severity) for each in job.warnings] == [("W311", "warning")]
    assert job.manifest.model is not None
    assert job.manifest.model.args["encoder"]["args"]["act"]["args"] == {"slope": 0.1}


def test_the_locations_of_all_classes_travel_with_the_job(project: Path) -> None:
    job = resolved(project)
    assert job.direct is not None
    assert {name: each.class_name for name, each in job.direct.top.items()} == {"model": "UNet", "data": "BrainData"}
    assert project / "my_project" / "data.py" in {location.file for location in job.locations}


def test_loggers_are_compared_with_their_classes(project: Path) -> None:
    """Those of `container` manifests too. What is not installed here is said, and a name that is wrong is an error."""
    (warning,) = resolved(project, text=f"{GOOD}{LOGGERS}").warnings
    assert (warning.code, warning.message.partition(":")[0]) == ("W311", "tracker_that_is_not_here")
    container = "schema: 1\ncontainer: {class: HelloContainer}\n"
    assert [each.code for each in resolved(project, text=f"{container}{LOGGERS}").warnings] == ["W311"]
    for wrong in ("lightning.pytorch.logers:WandbLogger", "pytorch_lightning.loggers:WandLogger"):
        with pytest.raises(ManifestError) as refused:
            resolved(project, text=f"{container}trainer: {{arguments: {{logger: {{class: '{wrong}'}}}}}}\n")
        assert [each.code for each in refused.value.diagnostics] == ["E300"]


def test_loggers_of_lightning_are_taken_as_they_are_where_it_is_not_installed(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find_users(name: str, *rest: Any) -> Any:
        if name.startswith("lightning."):
            raise DiscoveryError(f"there is no module '{name}'")
        return find(name, *rest)

    monkeypatch.setattr(direct, "find", find_users)
    monkeypatch.setattr(direct, "locate", lambda *of: None)
    logger = "{class: lightning.pytorch.loggers:WandbLogger, args: {project: lungs}}"
    text = f"schema: 1\ncontainer: {{class: HelloContainer}}\ntrainer: {{arguments: {{logger: {logger}}}}}\n"
    assert resolved(project, text=text).warnings == ()


def test_an_attribute_that_misses_a_name_by_a_letter_is_a_warning(project: Path) -> None:
    model = "schema: 1\nmodel: {class: my_project.unet:Misspelled, args: {channels: 1}}\n"
    warnings = resolved(project, text=model).warnings
    assert {each.code for each in warnings} == {"W312"}
    assert [(each.message.partition("Misspelled ")[2], each.hint) for each in warnings] == [
        (
            "sets 'automatic_optimisation', which is not an attribute of Lightning, and never reads it",
            "did you mean 'automatic_optimization'?",
        ),
        ("sets 'chanels', which is not one of its arguments, and never reads it", "did you mean 'channels'?"),
    ]
    assert "unet.py:94: " in warnings[0].message
