"""Every command of the tutorial and the how-to guides works as it stands there; those that are not run are listed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from textwrap import indent

import pytest
from tests.docs.pages import DOCS, blocks, pages, work_through

ON_THE_ENGINE = "tutorial/docker.md"
GOLDEN = Path(__file__).with_name("golden") / "not-run.txt"
RUN = [page for page in pages() if any(not (block.not_run or block.file) for block in blocks(page))]


@pytest.mark.parametrize(
    "page",
    [page for page in RUN if page != DOCS / ON_THE_ENGINE],
    ids=lambda page: page.relative_to(DOCS).as_posix(),
)
def test_the_commands_of_a_page_work(page: Path, tmp_path: Path, needs: Callable[..., None]) -> None:
    needs("torch", "bash")
    work_through(page, tmp_path)


def test_the_commands_that_are_not_run_are_these() -> None:
    """A command is taken out of the tests by a comment in its page, and into this list, with its reason."""
    left_out = [block for page in pages() for block in blocks(page) if block.not_run]
    shown = "".join(f"{block.page}: {block.not_run}\n{indent(block.text, '    ')}" for block in left_out)
    if os.environ.get("GOLDEN") == "write":
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(shown)
    assert shown == GOLDEN.read_text()


def test_a_page_whose_command_ends_otherwise_is_found(tmp_path: Path) -> None:
    page, folder = tmp_path / "page.md", tmp_path / "folder"
    folder.mkdir()
    page.write_text("<!-- exit code: 2 -->\n```sh\ntrue\n```\n")
    with pytest.raises(AssertionError, match="exit code 0"):
        work_through(page, folder)
