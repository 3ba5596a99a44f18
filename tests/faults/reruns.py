"""`python -m tests.faults.reruns`: ten runs of different kinds, each run again from another checkout of its repository.

A run comes to the same, bit by bit, or `rerun` names what keeps it from that. Each kind has a folder of its own: the
repository `first`, where the run is made, its clone `second`, from which it is run again, and `runs` beside them.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.projects import CONTAINER, Project, Result, tiny_project

_AUTHOR = {f"GIT_{who}_{what}": "nobody" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
_OTHER_CODE = "raise ValueError('this is not the code of the run')\n"


@dataclass(frozen=True, slots=True)
class Case:
    """What is expected of a run of one kind."""

    exit_code: int = 0
    told: str = "are those of .*, bit by bit"
    """A regular expression of what the terminal shows."""


@dataclass(slots=True)
class Bench:
    root: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def first(self) -> Project:
        return Project(self.root / "first")

    def make(self, manifest: str = "", **files: str) -> None:
        """The repository with its first commit, and a clone of it."""
        text = "schema: 1\ncontainer: {class: Tiny, namespaces: [tiny]}\ntrainer: {num_epochs: 1}\n"
        text += "environment: {OMP_NUM_THREADS: '1'}\n"
        text += "" if "outputs:" in manifest else f"outputs: {{folder: {self.root / 'runs'}}}\n"
        project = tiny_project(self.first.root, text + manifest)
        project.write(".gitignore", "__pycache__/\noutputs/\n")
        for name, content in files.items():
            project.write(name.replace("_", "."), content)
        git(project.root, "init", "-q")
        self.commit("first")
        git(self.root, "clone", "-q", "first", "second")

    def commit(self, subject: str) -> None:
        git(self.first.root, "add", "--all")
        git(self.first.root, "commit", "-qm", subject)

    def run(self) -> Path:
        """The folder of a run in the first checkout; of a sweep, that of its second trial."""
        done = self.first.run("tiny.yaml", environment=self.environment)
        assert done.exit_code == 0, done.stderr
        trial = done.run / "trials" / "001"
        return trial if trial.is_dir() else done.run

    def again(self, run: Path) -> Result:
        """What `rerun` from the second checkout comes to, after the first one went on to other code."""
        self.first.write("tiny.py", _OTHER_CODE)
        return Project(self.root / "second").run("rerun", str(run), environment=self.environment)


def clean(bench: Bench) -> tuple[Result, Case]:
    bench.make()
    return bench.again(bench.run()), Case()


def dirty(bench: Bench) -> tuple[Result, Case]:
    """The model was changed and not committed, and the first checkout is gone."""
    bench.make()
    bench.first.write("tiny.py", CONTAINER.replace("lr=1e-2", "lr=3e-2"))
    run = bench.run()
    shutil.rmtree(bench.first.root)
    return Project(bench.root / "second").run("rerun", str(run)), Case(told=r"(?s)does not have it\n.*bit by bit")


def untracked(bench: Bench) -> tuple[Result, Case]:
    """The run folder lies in the first checkout, where the file still is, as it is now."""
    bench.make(
        "outputs: {folder: outputs}\n", tiny_py=CONTAINER.replace("import param\n", "import param\nimport extra\n")
    )
    bench.first.write("extra.py", "")
    return bench.again(bench.run()), Case(1, r"(?s)git did not track are not recorded.*No module named 'extra'")


def packages(bench: Bench) -> tuple[Result, Case]:
    """The width of the model comes from a package, of which there is another version later."""
    bench.make(tiny_py=CONTAINER.replace("Model(self.width,", "Model(__import__('demo').WIDTH,"))
    for version, width in (("1.0", 8), ("2.0", 9)):
        bench.root.joinpath(f"demo{version}", f"demo-{version}.dist-info").mkdir(parents=True)
        bench.root.joinpath(f"demo{version}", "demo.py").write_text(f"WIDTH = {width}\n")
    bench.environment["PYTHONPATH"] = str(bench.root / "demo1.0")
    run = bench.run()
    bench.environment["PYTHONPATH"] = str(bench.root / "demo2.0")
    return bench.again(run), Case(6, r"(?s)other packages: demo 1.0 \(here 2.0\).*before that: packages \(demo\)")


def data_changed(bench: Bench) -> tuple[Result, Case]:
    table, run = with_data(bench)
    table.write_text(table.read_text() + "1\n")
    return bench.again(run), Case(6, r"(?s)had another dataset table: sha256.*before that: data \(table sha256\)")


def data_gone(bench: Bench) -> tuple[Result, Case]:
    table, run = with_data(bench)
    shutil.rmtree(table.parent)
    return bench.again(run), Case(5, "dataset.*table")


def commit_gone(bench: Bench) -> tuple[Result, Case]:
    """The history of the first checkout was written anew, and the second one never had the commit."""
    bench.make()
    bench.first.write("more.txt", "")
    bench.commit("second")
    run = bench.run()
    git(bench.first.root, "reset", "-q", "--hard", "HEAD~1")
    git(bench.first.root, "reflog", "expire", "--expire=now", "--all")
    git(bench.first.root, "gc", "-q", "--prune=now")
    return bench.again(run), Case(2, r"commit \w{40} can't be checked out")


def image(bench: Bench) -> tuple[Result, Case]:
    """Its name is another image's later on."""
    name = f"innereye-rerun-{os.getpid()}:cpu"
    docker("tag", "innereye-runtime:cpu", name)
    try:
        bench.make(f"compute: {{target: docker, docker: {{image: '{name}', memory: 2g}}, shm_size: 64m}}\n")
        run = bench.run()
        base = docker("image", "inspect", "--format={{.Id}}", "debian:bookworm-slim").strip()
        docker("tag", base, name)
        done = bench.again(run)
        digest = json.loads((run / "run.json").read_text())["image"]["digest"]
        same = done.exit_code or done.record["image"]["digest"] == digest
        return done, Case() if same else Case(told="the same image")
    finally:
        docker("rmi", name)


def processes(bench: Bench) -> tuple[Result, Case]:
    bench.make("compute: {processes: 2}\n")
    return bench.again(bench.run()), Case()


def trial(bench: Bench) -> tuple[Result, Case]:
    bench.make("sweep: {search_space: {width: {values: [3, 5]}}}\n")
    done = bench.again(bench.run())
    assert done.exit_code or done.run.parent == bench.root / "runs"
    return done, Case()


KINDS: dict[str, Callable[[Bench], tuple[Result, Case]]] = {
    each.__name__: each
    for each in (*(clean, dirty, untracked, packages, data_changed, data_gone, commit_gone, image, processes, trial),)
}


def main(argv: Sequence[str] | None = None) -> int:
    wrong = 0
    for name in argv or _possible():
        with tempfile.TemporaryDirectory(prefix="rerun-") as folder:
            problem, told = problem_of(name, Path(folder))
        print(f"{name}: {problem or told}", flush=True)
        wrong += bool(problem)
    return int(wrong > 0)


def _possible() -> Iterator[str]:
    """The kinds, but for those that need an engine where there is none."""
    has_engine = shutil.which("docker") and not subprocess.run(["docker", "version"], capture_output=True).returncode
    for name in KINDS:
        if name == "image" and not has_engine:
            print("image: left out, there is no Docker engine", flush=True)
        else:
            yield name


def problem_of(kind: str, folder: Path) -> tuple[str, str]:
    """What is wrong with how a run of that kind is run again, '' where nothing is; and what the terminal showed."""
    done, expected = KINDS[kind](Bench(folder))
    shown = done.stderr + done.stdout
    told = re.search(expected.told, shown)
    if done.exit_code != expected.exit_code or told is None:
        return f"exit code {done.exit_code}, not {expected.exit_code}; not {expected.told!r} in:\n{shown}", ""
    return "", " / ".join(line for line in told[0].splitlines() if line.strip())[-300:]


def with_data(bench: Bench) -> tuple[Path, Path]:
    """A dataset of one file, whose size sets the width of the model; and a run with it."""
    table = bench.root / "table" / "numbers.csv"
    table.parent.mkdir()
    table.write_text("1\n2\n3\n")
    width = "Model(len((self.local_dataset / 'numbers.csv').read_text().split()),"
    manifest = f"dataset: {{id: table, local: {table.parent}}}\n"
    bench.make(manifest, tiny_py=CONTAINER.replace("Model(self.width,", width))
    return table, bench.run()


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", "-C", folder, *words], check=True, env={**os.environ, **_AUTHOR}, capture_output=True)


def docker(*words: str) -> str:
    return subprocess.run(["docker", *words], check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
