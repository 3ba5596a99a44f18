"""Mistakes of a first hour: a small project that is right, and for each mistake what is changed in it."""

from __future__ import annotations

from dataclasses import dataclass, field

CONTAINER = '''\
import param
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, TensorDataset

from innereye_runtime import LightningContainer


class Model(pl.LightningModule):
    def __init__(self, channels):
        super().__init__()
        self.layer = torch.nn.Linear(4, channels)

    def forward(self, x):
        return self.layer(x).mean(dim=1, keepdim=True)

    def training_step(self, batch, batch_idx):
        x, y = batch
        loss = torch.nn.functional.mse_loss(self(x), y)
        self.log("train/loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch, batch_idx):
        x, y = batch
        self.log("val/loss", torch.nn.functional.mse_loss(self(x), y))

    def test_step(self, batch, batch_idx):
        x, y = batch
        self.log("test/loss", torch.nn.functional.mse_loss(self(x), y))

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=1e-2)


class Data(pl.LightningDataModule):
    def __init__(self):
        super().__init__()
        x = torch.linspace(-1, 1, 64).reshape(16, 4)
        self.table = TensorDataset(x, x.sum(dim=1, keepdim=True))

    def train_dataloader(self):
        return DataLoader(self.table, batch_size=8)

    def val_dataloader(self):
        return DataLoader(self.table, batch_size=8)

    def test_dataloader(self):
        return DataLoader(self.table, batch_size=8)


class Lungs(LightningContainer):
    """A small regression."""

    channels = param.Integer(default=4, bounds=(1, 64), doc="Of the layer.")

    def __init__(self):
        super().__init__(num_epochs=1)

    def create_model(self):
        return Model(self.channels)

    def get_data_module(self):
        return Data()
'''

MANIFEST = """\
schema: 1
container: {class: Lungs, namespaces: [lungs]}
"""

RUN = "innereye-run lungs.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    name: str
    command: str = RUN
    code: tuple[tuple[str, str], ...] = ()
    """What is replaced in lungs.py, each by what."""
    manifest: str = MANIFEST
    files: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    shows: str = ""
    """A file that the command writes, shown below its output."""

    @property
    def source(self) -> str:
        text = CONTAINER
        for old, new in self.code:
            assert text.count(old) >= 1, f"{self.name}: {old!r} is not in the project"
            text = text.replace(old, new, 1)
        return text


def args(**values: object) -> str:
    pairs = ", ".join(f"{name}: {value}" for name, value in values.items())
    return MANIFEST.replace("[lungs]}", f"[lungs], args: {{{pairs}}}}}")


SUPER = "        super().__init__()\n"
STEP = "        x, y = batch\n        loss"
IN_DATA = "class Data(pl.LightningDataModule):\n    def __init__(self):\n        super().__init__()\n"
BROKEN_DATASET = """\
class Table(torch.utils.data.Dataset):
    def __len__(self):
        return 16

    def __getitem__(self, index):
        return torch.zeros(4), self.labels[index]


class Data("""

MISTAKES = (
    Mistake(name="nothing-wrong"),
    # The class
    Mistake(name="super-of-the-module", code=((SUPER, ""),)),
    Mistake(name="super-of-the-data", code=((IN_DATA, IN_DATA.replace(SUPER, "")),)),
    Mistake(
        name="super-of-the-container", code=(("        super().__init__(num_epochs=1)", "        self.num_epochs = 1"),)
    ),
    Mistake(
        name="plain-attribute",
        code=(('channels = param.Integer(default=4, bounds=(1, 64), doc="Of the layer.")', "channels = 8"),),
        manifest=args(channels=16),
    ),
    Mistake(
        name="plain-attribute-as-option",
        code=(('channels = param.Integer(default=4, bounds=(1, 64), doc="Of the layer.")', "channels = 8"),),
        command=f"{RUN} --channels=16",
    ),
    Mistake(
        name="attribute-misses-a-letter",
        code=(("super().__init__(num_epochs=1)", "super().__init__()\n        self.num_epoch = 3"),),
        command=f"{RUN} --num_epochs=1",
    ),
    Mistake(name="undefined-name", code=(("return Data()", "return DataModule()"),)),
    Mistake(name="missing-comma", code=(("TensorDataset(x, x", "TensorDataset(x x"),)),
    Mistake(name="no-create-model", code=(("create_model", "make_model"),)),
    Mistake(name="no-data-module", code=(("get_data_module", "get_datamodule"),)),
    Mistake(name="no-return", code=(("return Model(self.channels)", "Model(self.channels)"),)),
    Mistake(name="class-not-object", code=(("return Data()", "return Data"),)),
    Mistake(name="loader-not-module", code=(("return Data()", "return Data().train_dataloader()"),)),
    Mistake(name="not-a-container", manifest=MANIFEST.replace("Lungs", "Model")),
    Mistake(
        name="init-asks-arguments",
        code=(
            (
                "def __init__(self):\n        super().__init__(num",
                "def __init__(self, size):\n        super().__init__(num",
            ),
        ),
    ),
    Mistake(name="missing-package", code=(("import param\n", "import param\nimport monai_of_mine\n"),)),
    Mistake(name="missing-own-module", code=(("import param\n", "import param\nfrom lungs_data import Table\n"),)),
    Mistake(name="class-misspelled", manifest=MANIFEST.replace("Lungs", "Lung")),
    Mistake(name="namespace-wrong", manifest=MANIFEST.replace("[lungs]", "[my.configs]")),
    # Parameters
    Mistake(name="parameter-misspelled", command=f"{RUN} --chanels=8"),
    Mistake(name="parameter-out-of-bounds", command=f"{RUN} --channels=0"),
    Mistake(name="parameter-of-wrong-type", command=f"{RUN} --channels=many"),
    Mistake(name="parameter-none", code=(("return Model(self.channels)", "return Model(self.chanels)"),)),
    # The manifest
    Mistake(name="empty-manifest", manifest=""),
    Mistake(name="comments-alone", manifest="# a manifest\n"),
    Mistake(name="key-misspelled", manifest=MANIFEST + "trainner: {num_epochs: 2}\n"),
    Mistake(name="tab", manifest="schema: 1\ncontainer:\n\tclass: Lungs\n"),
    Mistake(name="number-of-yaml-1", manifest=args(l_rate="1e-3")),
    Mistake(name="no-manifest", command="innereye-run lung.yaml"),
    Mistake(name="python-file", command="innereye-run lungs.py"),
    Mistake(name="no-dataset-folder", manifest=MANIFEST + "dataset: {local: data/lungs}\n"),
    Mistake(
        name="no-dataset",
        code=(("return Data()", 'print(self.local_dataset / "table.csv")\n        return Data()'),),
    ),
    # The command line
    Mistake(name="compute-as-option", command=f"{RUN} --compute.gpus=all"),
    Mistake(name="trainer-key-as-option", command=f"{RUN} --trainer.num_epochs=2"),
    Mistake(name="trainer-argument-as-option", command=f"{RUN} --gradient_clip_val=5"),
    Mistake(name="verbose", command=f"{RUN} -v"),
    Mistake(name="gpus-as-option", command=f"{RUN} --gpus=1"),
    Mistake(name="epochs-as-option", command=f"{RUN} --epochs=2"),
    Mistake(name="set-unknown-key", command=f"{RUN} --set compute.gpu=all"),
    Mistake(name="set-without-value", command=f"{RUN} --set compute.gpus"),
    Mistake(name="set-wrong-value", command=f"{RUN} --set compute.gpus=many"),
    Mistake(name="set-parameter", command=f"{RUN} --set channels=8"),
    Mistake(name="gpus-not-there", command=f"{RUN} --set compute.gpus=all"),
    Mistake(name="value-apart", command=f"{RUN} --channels 8"),
    Mistake(name="one-hyphen", command=f"{RUN} -channels=8"),
    Mistake(name="misspelled-command", command="innereye-run validte lungs.yaml"),
    Mistake(name="misspelled-option", command="innereye-run --smok lungs.yaml"),
    # Training
    Mistake(name="nan-loss", code=((f"{STEP} = ", f"{STEP} = float('nan') * "),)),
    Mistake(name="nan-loss-in-smoke", code=((f"{STEP} = ", f"{STEP} = float('nan') * "),), command=f"{RUN} --smoke"),
    Mistake(
        name="nan-loss-later",
        code=((f"{STEP} = ", f"{STEP} = (1 if self.global_step < 3 else float('nan')) * "),),
        command=f"{RUN} --num_epochs=2",
    ),
    Mistake(name="shape-mismatch", code=(("torch.nn.Linear(4, channels)", "torch.nn.Linear(5, channels)"),)),
    Mistake(name="step-returns-nothing", code=(("        return loss\n", ""),)),
    Mistake(name="no-training-step", code=(("training_step", "train_step"),)),
    Mistake(name="no-optimizer", code=(("configure_optimizers", "configure_optimizer"),)),
    Mistake(name="no-validation-loader", code=(("val_dataloader", "validation_dataloader"),)),
    Mistake(
        name="error-in-a-worker",
        code=(
            ("class Data(", BROKEN_DATASET),
            ("return DataLoader(self.table, batch_size=8)", "return DataLoader(Table(), batch_size=8, num_workers=1)"),
        ),
    ),
    Mistake(
        name="error-in-setup",
        code=(("    def create_model", '    def setup(self):\n        open("labels.csv")\n\n    def create_model'),),
    ),
    Mistake(name="loss-is-detached", code=(("        return loss\n", "        return loss.detach()\n"),)),
    Mistake(name="monitor-never-logged", command=f"{RUN} --checkpoint_monitor=val/dice"),
    Mistake(name="trainer-argument-unknown", manifest=MANIFEST + "trainer: {arguments: {gradient_clip: 1}}\n"),
    Mistake(
        name="batch-too-large",
        code=(
            (
                "return DataLoader(self.table, batch_size=8)",
                "return DataLoader(self.table, batch_size=32, drop_last=True)",
            ),
        ),
    ),
    Mistake(name="exits", code=(("        return Data()", "        raise SystemExit('no licence')"),)),
    Mistake(
        name="failed-smoke-run-in-ci",
        command=f"{RUN} --smoke --junit build/junit.xml",
        code=(("torch.nn.Linear(4, channels)", "torch.nn.Linear(5, channels)"),),
        environment={"GITHUB_ACTIONS": "true"},
        shows="build/junit.xml",
    ),
    Mistake(
        name="wrong-manifest-in-ci",
        command="innereye-run validate --format junit lungs.yaml missing.yaml",
        manifest=MANIFEST + "trainner: {}\n",
    ),
    Mistake(name="debug-elsewhere", command=f"{RUN} --debug --target docker"),
    Mistake(name="resume-nothing", command="innereye-run resume lungs.yaml"),
)
