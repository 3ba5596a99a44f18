"""The one object for the paths of a run folder. Launching and running side share it, and that makes targets
identical.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from innereye_runtime.errors import PreflightError

LOCK_NAME = ".lock"
MIRROR_NAME = ".mirror.json"


@dataclass(frozen=True, slots=True)
class RunPaths:
    """Where everything of a run lies; `root` is the working directory of training, on every target."""

    root: Path

    @property
    def run_json(self) -> Path:
        return self.root / "run.json"

    @property
    def lock(self) -> Path:
        """Who is at work in the folder; see `run.folder_lock`. It is not an output."""
        return self.root / LOCK_NAME

    @property
    def mirror(self) -> Path:
        """What is known of the remote copy of the run; see `run.mirror_state`. It is not an output."""
        return self.root / MIRROR_NAME

    @property
    def manifest(self) -> Path:
        return self.root / "manifest.yaml"

    @property
    def args(self) -> Path:
        return self.root / "args.txt"

    @property
    def metrics_csv(self) -> Path:
        return self.root / "metrics.csv"

    @property
    def metrics_json(self) -> Path:
        return self.root / "metrics.json"

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    @property
    def best_checkpoint(self) -> Path:
        return self.checkpoints / "best.ckpt"

    @property
    def last_checkpoint(self) -> Path:
        return self.checkpoints / "last.ckpt"

    @property
    def partial_checkpoint(self) -> Path:
        """Of the epoch that is under way, until last.ckpt has it."""
        return self.checkpoints / "partial.ckpt"

    @property
    def resumable(self) -> tuple[Path, ...]:
        """The checkpoints that a restart looks at."""
        return self.partial_checkpoint, self.last_checkpoint, self.best_checkpoint

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def console_log(self) -> Path:
        return self.logs / "console.log"

    def rank_log(self, rank: int) -> Path:
        """What one of several ranks printed."""
        return self.logs / f"rank-{rank}.log"

    @property
    def training_csv(self) -> Path:
        """Learning rate, speed, GPU memory and load, a row for each epoch."""
        return self.logs / "training.csv"

    @property
    def tensorboard(self) -> Path:
        return self.logs / "tensorboard"

    @property
    def figures(self) -> Path:
        """Pictures that the container adds to the report, with `figures.json` beside them."""
        return self.root / "figures"

    @property
    def report(self) -> Path:
        return self.root / "report.html"

    @property
    def outputs_json(self) -> Path:
        """Every file with size and sha256, written last: its presence means that the run folder is complete."""
        return self.root / "outputs.json"


def resume_command(paths: RunPaths, cwd: Path) -> str:
    """What resumes the run, typed in the folder `cwd`."""
    root = paths.root.relative_to(cwd) if paths.root.is_relative_to(cwd) else paths.root
    return f"innereye-run resume {shlex.quote(str(root))}"


def run_name(model: str, now: datetime) -> str:
    """The name of a run folder: UTC start and model name, as in `2026-11-24T101530Z_HelloContainer`."""
    return f"{now.astimezone(UTC):%Y-%m-%dT%H%M%SZ}_{model}"


def create_run_folder(outputs: Path, model: str, now: datetime) -> RunPaths:
    """A new, empty run folder under `outputs`. Two starts in one second get two folders, whoever makes them.

    Raises:
        PreflightError: the folder can't be made.
    """
    try:
        outputs.mkdir(parents=True, exist_ok=True)
        name, count = run_name(model, now), 1
        while True:
            root = outputs / (name if count == 1 else f"{name}_{count}")
            try:
                root.mkdir()
            except FileExistsError:
                count += 1
            else:
                return RunPaths(root)
    except OSError as error:
        reason = "it is a file" if isinstance(error, FileExistsError) else error.strerror
        raise PreflightError(
            f"no run folder can be made in {outputs}: {reason}",
            hint="name a folder that you may write to: outputs.folder in the manifest, or --output_to",
        ) from None
