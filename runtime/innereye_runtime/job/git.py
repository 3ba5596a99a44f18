"""What git reports about a folder of the user's; the only module that starts git.

No program that a repository configures is run. git itself decides whether a repository is trusted: it belongs to the
caller (for root also to SUDO_UID), or the caller's own configuration lists it in safe.directory. Nothing is read from
any other repository.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_SECONDS = 20
_NOTHING_FOUND = 1
"""The exit code of `git config --get-regexp` without a match."""
_NOTHING_IS_RUN = (
    "--no-pager",
    "-c", "core.fsmonitor=false",
    "-c", f"core.hooksPath={os.devnull}",
    "-c", "diff.external=",
    "-c", "core.sshCommand=false",
    "-c", "credential.helper=",
    "-c", "safe.bareRepository=explicit",
    "-c", "status.submoduleSummary=false",
)  # fmt: skip
_OF_ANOTHER_REPOSITORY = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_CONFIG_PARAMETERS",
    "GIT_DIR",
    "GIT_EXTERNAL_DIFF",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_WORK_TREE",
)
"""Set where a git hook started this process. With GIT_DIR set, git would not look at who owns the repository."""
_ENVIRONMENT = {
    "GIT_ALLOW_PROTOCOL": "",  # a partial clone would fetch what it lacks, by a program that it names itself
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_OPTIONAL_LOCKS": "0",  # status would write the index, as this user
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The output of git. `output` is None where it failed; `failure` then says why, in one line."""

    output: bytes | None = None
    failure: str = ""
    exit_code: int = 0
    missing: bool = False
    """There is no git program here."""

    @property
    def foreign(self) -> bool:
        """The repository belongs to another user, and git does not trust it."""
        return re.search(r"dubious ownership|unsafe repository", self.failure) is not None

    @property
    def text(self) -> str | None:
        return None if self.output is None else self.output.decode(errors="replace")


class Repository:
    """Questions about the repository that the folder `root` is part of."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._filters: Answer | None = None

    def commit(self) -> Answer:
        return self._ask("rev-parse", "--verify", "HEAD^{commit}")

    def changed(self) -> Answer:
        """One line for each file that differs from the commit or is not tracked; submodules by their commit alone."""
        return self._ask_unfiltered("status", "--porcelain", "--ignore-submodules=dirty", "--no-renames", "--", ".")

    def changed_names(self) -> Answer:
        """The names of tracked files that differ from the commit, relative to the folder, with NUL after each."""
        return self._diff("--name-only", "-z", "--relative")

    def diff(self, *, without: tuple[str, ...] = ()) -> Answer:
        """The changes since the commit, but for the files `without`, whose names are relative to the folder."""
        return self._diff("--", ".", *(f":(exclude,literal){name}" for name in without))

    def has(self, commit: str) -> bool:
        return self._ask("cat-file", "-e", f"{commit}^{{commit}}").output is not None

    def files(self, *options: str) -> Answer:
        """What `git ls-files` lists, with NUL after each name."""
        return self._ask("ls-files", "-z", *options)

    def prefix(self) -> Answer:
        """The folder's own path below the top of the working tree, with a `/` at its end; empty for the top."""
        return self._ask("rev-parse", "--show-prefix")

    def add_worktree(self, folder: Path, commit: str) -> Answer:
        """Checks `commit` out into a new working tree."""
        return self._ask_unfiltered("worktree", "add", "--quiet", "--detach", str(folder), commit)

    def remove_worktree(self, folder: Path) -> Answer:
        return self._ask("worktree", "remove", "--force", str(folder))

    def apply(self, diff: str) -> Answer:
        """Makes the changes that a diff of this repository has."""
        return self._ask("apply", "--whitespace=nowarn", text=diff)

    def _diff(self, *arguments: str) -> Answer:
        off = ("--no-ext-diff", "--no-textconv", "--no-color", "--no-renames", "--ignore-submodules=dirty")
        return self._ask_unfiltered("diff", *off, "--submodule=short", "HEAD", *arguments)

    def _ask_unfiltered(self, *arguments: str) -> Answer:
        """The answer without the filter programs that the repository itself configures.

        Those of the caller's own configuration (Git LFS) stay: without them each of its files would look changed.
        """
        if self._filters is None:
            self._filters = self._ask(
                "config", "--show-scope", "--name-only", "-z", "--get-regexp", r"^filter\..*\.(clean|smudge|process)$"
            )
        if self._filters.output is None and self._filters.exit_code != _NOTHING_FOUND:
            return self._filters
        words = (self._filters.text or "").split("\0")
        own = {key for scope, key in zip(words[::2], words[1::2], strict=False) if scope in ("local", "worktree")}
        drivers = sorted({key.rpartition(".")[0] for key in own})
        odd = next((driver for driver in drivers if "=" in driver), None)
        if odd is not None:  # `-c` ends a key at its first '='
            return Answer(failure=f"the repository configures {odd}, which can't be switched off")
        settings = [f"{driver}.{key}" for driver in drivers for key in ("clean=", "smudge=", "process=", "required=0")]
        return self._ask(*(word for setting in settings for word in ("-c", setting)), *arguments)

    def _ask(self, *arguments: str, text: str = "") -> Answer:
        command = ["git", *_NOTHING_IS_RUN, "-C", str(self._root), *arguments]
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                timeout=_SECONDS,
                input=text.encode(),
                env=_environment(os.environ),
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Answer(failure=f"git did not answer in {_SECONDS} s")
        except OSError as error:
            return Answer(failure=f"git: {error.strerror}", missing=isinstance(error, FileNotFoundError))
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip().partition("\n")[0]
            return Answer(failure=said or "git failed", exit_code=done.returncode)
        return Answer(output=done.stdout)


def _environment(caller: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in caller.items() if name not in _OF_ANOTHER_REPOSITORY} | _ENVIRONMENT
