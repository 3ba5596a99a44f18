"""Every command of the how-to guides works as it stands there, and all commands that are not run are listed.

Those of the tutorial are run by test_tutorial.py.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from textwrap import indent

import pytest
from tests.docs.pages import DOCS, blocks, pages, work_through

GOLDEN = Path(__file__).with_name("golden") / "not-run.txt"
RUN = [
    page
    for page in pages()
    if page.parent.name != "tutorial" and any(not (block.not_run or block.file) for block in blocks(page))
]


@pytest.mark.parametrize("page", RUN, ids=lambda page: page.relative_to(DOCS).as_posix())
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


PAGE = """\
```sh
mkdir one && cd one
COUNT=3
```

```text title="two/file.txt"
kept
```

```sh
cat two/file.txt && echo epoch $COUNT of 4 in "$PWD/outputs/2026-11-24T101530Z_A" after 1.5 s
```

```text
kept
...
epoch 2 of 5 in outputs/2027-01-01T000000Z_A after 12 s
```
"""


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("", "", ""),
        ("&& echo", "; false; echo", "exit code 1, and not 0"),
        ("```sh\ncat", "<!-- exit code: 2 -->\n```sh\ncat", "exit code 0, and not 2"),
        ("COUNT=3", "exit 0", "before the pages end"),
        ("kept\n...\n", "...\nlost\n", "and not"),
        ("after 12 s", "", "and not"),
    ],
)
def test_a_page_that_says_otherwise_is_found(tmp_path: Path, before: str, after: str, problem: str) -> None:
    page, folder = tmp_path / "page.md", tmp_path / "folder"
    page.write_text(PAGE.replace(before, after) if before else PAGE)
    with pytest.raises(AssertionError, match=problem) if problem else nullcontext():
        work_through(page, folder)
