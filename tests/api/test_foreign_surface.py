"""What containers of the toolbox and of its successor import, and the members that they use."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import param
import pytest
import torch
from tests.projects import Project, tiny_project

from innereye_runtime import LightningContainer
from innereye_runtime.compat.azure_config import with_hooks
from innereye_runtime.errors import DataError, PreflightError, UsageError
from innereye_runtime.job.class_hooks import with_hooks_of_class
from innereye_runtime.job.resolve import Job, resolve_job
from innereye_runtime.targets.azureml.plan import plan_for

OLD = """
import param
from InnerEye.Azure.azure_config import AzureConfig
from InnerEye.Common.generic_parsing import create_from_matching_params
from InnerEye.Common.type_annotations import PathOrPathList, StringOrStringList
from InnerEye.ML.deep_learning_config import ARGS_TXT, CHECKPOINT_FOLDER, OptimizerParams
from InnerEye.ML.lightning_container import LightningContainer
from InnerEye.ML.utils.run_recovery import RunRecovery
from InnerEye.ML.utils.split_dataset import DatasetSplits

class Foreign(LightningContainer):
    rate = param.Number(0.5)
    def update_azure_config(self, azure_config: AzureConfig) -> None:
        azure_config.cluster = "of-class"
        azure_config.tag = "mine"
        azure_config.num_nodes = 2
        azure_config.max_run_duration = "3h"
    def get_additional_aml_run_tags(self):
        return {"site": "a", "rate": self.rate}
"""
SUCCESSOR = """
import param
from health_azure import DatasetConfig, is_running_in_azure_ml, submit_to_azure_if_needed
from health_azure.utils import create_from_matching_params
from health_ml.deep_learning_config import OptimizerParams
from health_ml.experiment_config import ExperimentConfig
from health_ml.lightning_container import LightningContainer
from health_ml.utils import AzureMLLogger, AzureMLProgressBar, BatchTimeCallback, log_learning_rate, log_on_epoch
from health_ml.utils.checkpoint_utils import CheckpointParser
from health_ml.utils.common_utils import logging_section

class Foreign(LightningContainer):
    layers = param.Integer(3)
    def __init__(self):
        super().__init__(max_epochs=2, azure_datasets=["lungs"], experiment="exp", tag="t", datastore="ds")
        self.src_checkpoint = CheckpointParser("outputs/run:best.ckpt")
    def set_model_variant(self, name):
        if name != "big":
            raise ValueError(f"no variant {name}")
        self.layers = 9
    def update_experiment_config(self, config: ExperimentConfig) -> None:
        config.docker_shm_size = "2g"
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return tiny_project(tmp_path)


def job_of(project: Project, source: str, name: str, *overrides: str) -> Job:
    project.write(f"{name}.py", source)
    more = "compute: {azureml: {cluster: c, image: i}}\n"
    path = project.write("job.yaml", f"schema: 1\ncontainer: {{class: Foreign, namespaces: [{name}]}}\n{more}")
    return resolve_job(path, cwd=project.root, target="azureml", overrides=overrides)


def test_the_hooks_of_a_submission_are_taken_over(project: Project) -> None:
    old = plan_for(with_hooks_of_class(job_of(project, OLD, "foreign_old", "--rate=0.25")), {})
    assert (old.cluster, old.nodes, old.max_seconds) == ("of-class", 2, 10800)
    assert (old.tags["tag"], old.tags["site"], old.tags["rate"]) == ("mine", "a", "0.25")
    job = job_of(project, SUCCESSOR, "foreign_new", "--model_variant=big")
    new = plan_for(with_hooks_of_class(job), {})
    assert (new.experiment, new.datastore, new.tags["tag"], new.shm_size) == ("exp", "ds", "t", "2g")
    assert [one.path for one in new.inputs] == ["azureml:lungs@latest"]


def test_a_class_without_hooks_is_not_imported(project: Project) -> None:
    job = job_of(
        project,
        "from InnerEye.ML.lightning_container import LightningContainer\n"
        "class Foreign(LightningContainer):\n    pass\nraise SystemExit\n",
        "foreign_raises",
    )
    assert with_hooks_of_class(job) is job
    missing = job_of(project, OLD + "import a_package_that_is_not_here\n", "foreign_missing")
    with pytest.raises(PreflightError, match="a_package_that_is_not_here"):
        with_hooks_of_class(missing)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("node_count_max", 3, "sets node_count_max, which can't be changed here"),
        ("docker_shm_size", "lots", "sets docker_shm_size to 'lots'"),
    ],
)
def test_a_change_that_can_not_be_made_is_refused(project: Project, name: str, value: Any, sentence: str) -> None:
    class Foreign(LightningContainer):
        def update_azure_config(self, azure_config: Any) -> None:
            setattr(azure_config, name, value)

    with pytest.raises(UsageError, match=sentence) as caught:
        with_hooks(job_of(project, OLD, "foreign_old2").manifest, Foreign())
    assert caught.value.hint


def test_members_of_the_toolboxs_containers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZUREML_RUN_ID", raising=False)
    container = LightningContainer()
    container.set_output_to(tmp_path)
    assert container.get_path_to_checkpoint() == tmp_path / "checkpoints" / "last.ckpt"
    assert container.get_path_to_best_checkpoint() == tmp_path / "checkpoints" / "best.ckpt"
    assert (container.num_nodes, container.pretraining_run_checkpoints, container.is_offline_run) == (1, None, True)
    container.use_gpu = False
    assert container.num_gpus_per_node() == 0
    assert container.effective_experiment_name == "LightningContainer"
    container.experiment = "mine"
    assert container.effective_experiment_name == "mine"
    monkeypatch.setenv("AZUREML_RUN_ID", "run")
    assert not container.is_offline_run


def test_a_checkpoint_is_loaded_into_the_model(tmp_path: Path) -> None:
    import pytorch_lightning as pl

    class Net(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(1, 1)

    container = LightningContainer()
    container.model = Net()
    weights = {name: torch.full_like(value, 3.0) for name, value in container.model.state_dict().items()}
    torch.save({"state_dict": weights}, tmp_path / "a.ckpt")
    container.load_model_checkpoint(tmp_path / "a.ckpt")
    assert all(torch.equal(value, weights[name]) for name, value in container.model.state_dict().items())
    assert not container.has_custom_test_step()


def test_matching_parameters_are_copied() -> None:
    matching = import_module("InnerEye.Common.generic_parsing").create_from_matching_params

    class Few(param.Parameterized):
        num_epochs = param.Integer(1)

    assert matching(LightningContainer(num_epochs=7), Few).num_epochs == 7
    with pytest.raises(ValueError, match="Parameterized"):
        matching(LightningContainer(), dict)


def test_a_checkpoint_is_named_by_file_url_or_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parser = import_module("health_ml.utils.checkpoint_utils").CheckpointParser
    monkeypatch.chdir(tmp_path)
    best = tmp_path / "outputs" / "run" / "checkpoints" / "best.ckpt"
    best.parent.mkdir(parents=True)
    best.touch()
    (tmp_path / "a.ckpt").touch()
    assert parser("a.ckpt").get_path(tmp_path) == tmp_path / "a.ckpt"
    assert parser("run:best.ckpt").is_aml_run_id
    assert parser("run:best.ckpt").get_path(tmp_path) == best
    assert parser("https://example.org/w.ckpt").is_url
    with pytest.raises(DataError, match="no checkpoint 'other:x'"):
        parser("other:x").get_path(tmp_path)
    assert LightningContainer(src_checkpoint=parser("a.ckpt")).src_checkpoint == "a.ckpt"


def test_the_simple_form_of_a_submission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    azure = import_module("health_azure")
    monkeypatch.delenv("AZUREML_RUN_ID", raising=False)
    local = azure.DatasetConfig("lungs", local_folder=tmp_path)
    info = azure.submit_to_azure_if_needed(
        compute_cluster_name="c", input_datasets=[local, "x"], submit_to_azureml=False
    )
    assert (info.input_datasets, info.is_running_in_azure_ml, info.run) == ([tmp_path, None], False, None)
    with pytest.raises(UsageError, match="submits no script"):
        azure.submit_to_azure_if_needed(submit_to_azureml=True)
    monkeypatch.setenv("AZUREML_RUN_ID", "run")
    monkeypatch.setenv("AZURE_ML_INPUT_INPUT_0", "/mnt/lungs")
    inside = azure.submit_to_azure_if_needed(input_datasets=["lungs"], submit_to_azureml=True)
    assert (inside.input_datasets, inside.is_running_in_azure_ml) == ([Path("/mnt/lungs")], True)


class Table:
    """As much of a DataFrame as splits need."""

    def __init__(self, rows: list[int]) -> None:
        self.rows = rows

    def __getitem__(self, key: Any) -> Any:
        return (
            Column(self.rows) if isinstance(key, str) else Table([r for r, k in zip(self.rows, key, strict=True) if k])
        )


class Column(list[int]):
    def isin(self, ids: list[int]) -> Any:
        return [row in ids for row in self]


def test_subjects_are_split_once() -> None:
    splits = import_module("InnerEye.ML.utils.split_dataset").DatasetSplits
    found = splits.from_proportions(Table([1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]), 0.6, 0.2, 0.2)
    sizes = [len(set(split.rows)) for split in (found.train, found.test, found.val)]
    assert sizes == [6, 2, 2]
    with pytest.raises(ValueError, match="more than one"):
        splits.from_subject_ids(Table([1, 2]), [1], [1], [2])


def test_a_successors_container_trains_unchanged(project: Project) -> None:
    source = (project.root / "tiny.py").read_text()
    source = source.replace(
        "from innereye_runtime import LightningContainer\n",
        "from health_ml.lightning_container import LightningContainer\n"
        "from health_ml.utils import AzureMLLogger, AzureMLProgressBar, BatchTimeCallback, log_on_epoch\n",
    )
    source = (
        source.replace("class Tiny(", "class Foreign(")
        + """
    def set_model_variant(self, name):
        self.width = {"wide": 16}[name]
    def get_trainer_arguments(self):
        return {"logger": AzureMLLogger()}
    def get_callbacks(self):
        return [AzureMLProgressBar(refresh_rate=1), BatchTimeCallback()]
    def before_training_on_all_ranks(self):
        Model.on_run_extra_validation_epoch = lambda model: Path("extra.txt").write_text(str(self.num_nodes))
        Path("dataset.txt").write_text(f"{self.local_dataset} {Path(self.local_dataset, 'a').read_text()}")
        Model.on_train_epoch_end = lambda model: log_on_epoch(model, "extra/one", 1.0)
"""
    )
    project.write("hi.py", source)
    words = ["-m", "health_ml.runner", "--model=Foreign", "--model_configs_namespace=hi", "--max_epochs=1"]
    words += ["--model_variant=wide", "--run_extra_val_epoch", "--output_to=elsewhere", "--tag=mine"]
    words += ["--local_dataset=data", f"--dataset_mountpoint={project.root / 'deep' / 'mnt'}"]
    project.write("data/a", "whole")
    done = subprocess.run([sys.executable, *words], cwd=project.root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr + done.stdout
    run = Path(done.stdout.splitlines()[-1])
    assert run.parent == project.root / "elsewhere"
    assert (run / "extra.txt").read_text() == "1"
    assert (run / "dataset.txt").read_text() == f"{project.root / 'deep' / 'mnt'} whole"
    assert list((project.root / "deep").iterdir()) == []  # the link is gone with the run
    assert "width = 16" in (run / "args.txt").read_text()
    table = (run / "metrics.csv").read_text().splitlines()[0]
    assert "extra/one" in table and "timing/train/epoch_time [sec]" in table


def test_a_container_is_printed_with_its_parameters_and_attributes() -> None:
    container = LightningContainer(num_epochs=7)
    container.classes = ["a", "b"]
    container._hidden = 1
    text = str(container)
    assert "    num_epochs                              : 7\n" in text
    assert "    classes                                 : ['a', 'b']" in text
    assert "_hidden" not in text and "create_model" not in text


FOREIGN = {
    "segmentation.py": "from InnerEye.ML.config import SegmentationModelBase\n\n"
    "class A(SegmentationModelBase):\n    pass\n",
    "package.py": "import a_package_not_here\nfrom InnerEye.ML.lightning_container import LightningContainer\n\n"
    "class B(LightningContainer):\n    pass\n",
    "name.py": "from health_ml.utils import not_there\nfrom health_ml.lightning_container import LightningContainer\n\n"
    "class C(LightningContainer):\n    pass\n",
    "relative.py": "from .missing import Base\n\nclass D(Base):\n    def create_model(self):\n        pass\n",
    "broken.py": "class E(:\n",
    "lung.py": "from InnerEye.ML.configs.segmentation.Lung import Lung\n\nclass G(Lung):\n    pass\n",
    "derived.py": "from pkg.lung import G\n\nclass Plain:\n    pass\n\nclass H(G):\n    pass\n",
    "net.py": "import torch\n\nclass Net(torch.nn.Module):\n    pass\n",
    "good.py": "from health_ml.lightning_container import LightningContainer\n\n"
    "class F(LightningContainer):\n    pass\n",
}


def test_a_folder_of_foreign_containers_is_told_in_one_line_each(tmp_path: Path) -> None:
    for name, text in FOREIGN.items():
        (tmp_path / "pkg").mkdir(exist_ok=True)
        (tmp_path / "pkg" / name).write_text(text)
    (tmp_path / "setup.py").touch()
    (tmp_path / "m.yaml").write_text("schema: 1\ncontainer: {class: F, namespaces: [nowhere.configs]}\n")
    project = Project(tmp_path)
    done = project.run("validate", ".")
    assert done.exit_code == 2 and "Traceback" not in done.stderr
    assert "m.yaml:2:20: error[E300]" in done.stderr and "there is no module nowhere.configs" in done.stderr
    pkg = tmp_path / "pkg"
    lines = [line for line in [*done.stdout.splitlines(), *done.stderr.splitlines()] if line.startswith(str(pkg))]
    assert sorted(line.removeprefix(f"{pkg}/").partition(";")[0] for line in lines) == [
        "broken.py:1: broken.py: error[E309]: Python can't parse it: invalid syntax",
        f"derived.py:6: H: error[E311]: {pkg}/lung.py:1: the module InnerEye.ML.configs.segmentation.Lung is not "
        "there, which H needs",
        "good.py:3: F: valid",
        f"lung.py:3: G: error[E311]: {pkg}/lung.py:1: the module InnerEye.ML.configs.segmentation.Lung is not there, "
        "which G imports",
        f"name.py:4: C: error[E311]: {pkg}/name.py:1: the module health_ml.utils has no not_there, which C imports",
        f"package.py:4: B: valid ({pkg}/package.py:1: the module a_package_not_here is not there, which B imports)",
        f"relative.py:3: D: error[E311]: {pkg}/relative.py:1: the module pkg.missing is not there, which D imports",
        f"segmentation.py:3: A: error[E311]: {pkg}/segmentation.py:1: the module InnerEye.ML.config is not there, "
        "which A imports",
    ]
    assert "the built-in segmentation models are out of scope" in done.stderr


def test_a_data_module_of_the_old_listing_trains(project: Project) -> None:
    source = (project.root / "tiny.py").read_text()
    start = source.index("class Data(")
    project.write(
        "tiny.py",
        source[:start]
        + source[start:]
        .replace("        super().__init__()\n", "", 1)
        .replace("class Tiny(LightningContainer):", "class Tiny(LightningContainer):\n    own = 1\n", 1),
    )
    done = project.run("tiny.yaml", "--num_epochs=1")
    assert done.exit_code == 0, done.stderr + done.stdout


def test_a_classs_own_parameter_called_model_variant_is_left_alone(project: Project) -> None:
    from innereye_runtime.training.lifecycle.variant import checked_arguments

    class Own(LightningContainer):
        model_variant = param.Integer(3)

    class NoVariants(LightningContainer):
        pass

    own = job_of(project, OLD.replace("    rate", "    model_variant = param.Integer(3)\n    rate"), "foreign_own")
    assert checked_arguments(Own(), own)[1].arguments["model_variant"].value == 3
    with pytest.raises(UsageError, match="has no set_model_variant"):
        checked_arguments(NoVariants(), job_of(project, OLD, "foreign_none", "--model_variant=big"))
