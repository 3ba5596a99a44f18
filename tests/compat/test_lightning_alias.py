"""Code that imports `lightning` trains as code that imports `pytorch_lightning`, with the distribution or without."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.projects import CONTAINER, Project, tiny_project

STYLES = {
    "lightning.pytorch": CONTAINER.replace("import pytorch_lightning as pl", "import lightning.pytorch as pl"),
    "lightning": CONTAINER.replace("import pytorch_lightning as pl", "import lightning as pl"),
    "mixed": CONTAINER.replace(
        "import pytorch_lightning as pl",
        "import pytorch_lightning as pl\nfrom lightning.pytorch import LightningDataModule",
    ).replace("class Data(pl.LightningDataModule)", "class Data(LightningDataModule)"),
}
SAME = """\
import importlib, pkgutil, sys
from innereye_runtime.compat import lightning_alias
lightning_alias.install()
import lightning, lightning.pytorch, pytorch_lightning
assert lightning.pytorch is pytorch_lightning and lightning.LightningModule is pytorch_lightning.LightningModule
names = [module.name for module in pkgutil.walk_packages(pytorch_lightning.__path__, "pytorch_lightning.")]
for name in names:
    alias = name.replace("pytorch_lightning", "lightning.pytorch", 1)
    assert importlib.import_module(alias) is importlib.import_module(name), name
    assert sys.modules[name].__spec__.name == name
import pickle
found = pickle.loads(b"clightning.pytorch.callbacks.early_stopping\\nEarlyStopping\\n.")
assert found is lightning.pytorch.callbacks.EarlyStopping
print(len(names))
"""


@pytest.mark.parametrize("installed", [False, True], ids=["without lightning", "with lightning"])
def test_every_module_is_the_same_under_both_names(
    installed: bool, needs: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs("torch")
    if installed:
        monkeypatch.setenv("PYTHONPATH", str(installed_lightning(tmp_path).parent))
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", SAME], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 100


def installed_lightning(folder: Path) -> Path:
    """A package `lightning` that must not be imported: its classes are not those of `pytorch_lightning`."""
    package = folder / "lightning"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError('imported beside pytorch_lightning')\n")
    return package


def test_all_styles_end_with_the_same_weights(needs: Callable[..., None], tmp_path: Path) -> None:
    needs("torch")
    projects = {"pytorch_lightning": tiny_project(tmp_path / "plain")}
    for style, text in STYLES.items():
        projects[style] = Project(tmp_path / style)
        assert text != CONTAINER
        tiny_project(projects[style].root).write("tiny.py", text)
    weights = {style: project.run("tiny.yaml", "--num_epochs=2").weights for style, project in projects.items()}
    installed = {"PYTHONPATH": str(installed_lightning(tmp_path / "site").parent)}
    for style in STYLES:
        done = projects[style].run("tiny.yaml", "--num_epochs=2", environment=installed)
        assert done.exit_code == 0, done.stdout
        weights[f"{style}, with the distribution"] = done.weights
    assert len(set(weights.values())) == 1, weights


def test_a_checkpoint_of_one_style_is_evaluated_by_another(needs: Callable[..., None], tmp_path: Path) -> None:
    needs("torch")
    project = tiny_project(tmp_path)
    project.write("tiny.py", STYLES["lightning"])
    whole = project.run("tiny.yaml", "--num_epochs=2")
    weights = whole.run / "checkpoints" / "best.ckpt"
    project.write("tiny.py", CONTAINER)
    evaluated = project.run("tiny.yaml", "--run_inference_only", f"--local_weights_path={weights}")
    assert evaluated.record["metrics"]["test"] == whole.record["metrics"]["test"] != {}
