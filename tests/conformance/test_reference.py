"""docs/reference/lightning.md has each flag, callback, logger and hook of the installed Lightning, and says what is so.

A new version of Lightning that has a name more, or one less, fails here until the page says what becomes of it.
"""

from __future__ import annotations

import inspect
import re
from collections import Counter
from pathlib import Path

import pytest
import pytorch_lightning as pl
from pytorch_lightning import callbacks, loggers
from pytorch_lightning.core.hooks import CheckpointHooks, DataHooks, ModelHooks

from innereye_runtime.compat.trainer_args import IGNORED_ARGUMENTS
from innereye_runtime.manifest.rules import RUNTIME_MANAGED_ARGS
from tests.conformance import cases
from tests.conformance.base import CASES
from tests.conformance.recording import HOOKS, NOT_RECORDED

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "lightning.md"
STATUSES = {"same", "merged", "refused"}
OF_OTHER_MACHINES = {"use_distributed_sampler", "model_registry"}
"""Flags that have an effect only with several processes, or with a service."""


def public(*kinds: type) -> set[str]:
    return {name for kind in kinds for name in vars(kind) if not name.startswith("_") and name not in _constants(kind)}


def _constants(kind: type) -> set[str]:
    return {name for name, value in vars(kind).items() if name.isupper() or isinstance(value, str)}


INSTALLED = {
    "Flags of the Trainer": set(inspect.signature(pl.Trainer.__init__).parameters) - {"self"},
    "Callbacks": set(callbacks.__all__),
    "Loggers": set(loggers.__all__),
    "LightningModule": public(ModelHooks, DataHooks, CheckpointHooks, pl.LightningModule),
    "LightningDataModule": public(DataHooks, CheckpointHooks, pl.LightningDataModule) - {"name"},
    "Callback": public(pl.Callback),
}


def table(heading: str) -> list[tuple[list[str], list[str]]]:
    """The rows below a heading of the page: the names of the first cell, and the other cells."""
    section = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    text = next(part for part in section if part.startswith(f"{heading}\n"))
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| `")
    ]
    return [(re.findall(r"`(\w+)`", cells[0]), cells[1:]) for cells in rows]


@pytest.mark.parametrize("heading", INSTALLED)
def test_each_name_of_the_installed_lightning_has_one_row_and_no_other_has(heading: str) -> None:
    listed = Counter(name for names, _ in table(heading) for name in names)
    installed = INSTALLED[heading]
    assert installed - set(listed) == set(), f"Lightning {pl.__version__} has names that the page lacks"
    assert set(listed) - installed == set(), f"Lightning {pl.__version__} no longer has names of the page"
    assert [name for name, count in listed.items() if count > 1] == []


@pytest.mark.parametrize("heading", INSTALLED)
def test_each_row_says_what_becomes_of_its_names_and_how_or_why_where_that_is_not_the_same(heading: str) -> None:
    for names, (*statuses, remark) in table(heading):
        assert names
        assert statuses
        assert set(statuses) <= STATUSES, names
        assert remark or set(statuses) == {"same"}, names


def test_a_flag_is_refused_where_the_code_refuses_it() -> None:
    rows = [(name, *cells) for names, cells in table("Flags of the Trainer") for name in names]
    assert {name for name, _, manifest, _ in rows if manifest == "refused"} == set(RUNTIME_MANAGED_ARGS)
    of_today = set(IGNORED_ARGUMENTS) & INSTALLED["Flags of the Trainer"]
    # Lightning itself refuses it beside a logger.
    assert {name for name, container, _, _ in rows if container == "refused"} == of_today | {"barebones"}


def test_what_is_the_same_is_in_a_case_of_this_suite() -> None:
    cases.load()
    flags = {name for case in CASES for name in case.arguments}
    rows = [(name, cells) for names, cells in table("Flags of the Trainer") for name in names]
    assert {name for name, cells in rows if cells[0] == "same"} - flags == OF_OTHER_MACHINES
    used = {kind.__name__ for case in CASES for one in case().callbacks() for kind in type(one).__mro__}
    rows = [(name, cells) for names, cells in table("Callbacks") for name in names]
    assert {name for name, cells in rows if cells[0] == "same"} - used == set()
    for heading, kind in (
        ("LightningDataModule", pl.LightningDataModule),
        ("Callback", pl.Callback),
        ("LightningModule", pl.LightningModule),
    ):
        same = {name for names, cells in table(heading) for name in names if cells[0] == "same"}
        assert {name for name in same - {"on_gpu"} if name.startswith("on_")} - HOOKS[kind] == set()
        assert same & NOT_RECORDED <= {"configure_sharded_model", "state_key"}
