"""A job for Slurm as a value: the options of sbatch, and the script that the first node runs."""

from __future__ import annotations

import math
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from innereye_runtime.errors import UsageError
from innereye_runtime.job.datasets import datasets_of
from innereye_runtime.job.entrypoint_args import EntrypointArgs
from innereye_runtime.job.process_count import processes_of
from innereye_runtime.job.ranks import VARIABLES
from innereye_runtime.job.resolve import Job
from innereye_runtime.manifest.model import Dataset, Manifest, SlurmSettings
from innereye_runtime.manifest.units import Duration
from innereye_runtime.sweep.trials import folds_of, is_many, number_of_trials, planned_ahead
from innereye_runtime.targets.slurm.commands import MARK

_WARNING_SECONDS = 60
"""How long before the time limit the job is asked to save and end; Slurm looks once a minute."""
_DIGITS = 3
"""Of a trial's name, at least."""
RUN_PLACEHOLDER = "<UTC start>_{model}"
_FINISH_COPY = (
    "trap '' PIPE; echo $code 2>/dev/null >&9",
    "wait $copy; copied=$?",
    "while kill -0 $copy 2>/dev/null; do wait $copy; copied=$?; done",
    "[ $code -ne 0 ] || code=$copied",
)
TRIAL = "<trial>"
"""In the place of a trial's number, which its task of the array puts in."""
BAYESIAN_TRIALS = 4
"""At a time, where the manifest sets no limit: all at once would learn nothing from each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmPlan:
    request: EntrypointArgs
    options: tuple[str, ...]
    """Of sbatch, but for those that name the run folder."""
    modules: tuple[str, ...]
    executable: str
    text: str | None
    """The manifest's text, where it is not a file: it is written into the run folder."""
    model_name: str
    outputs_folder: Path
    environment: Mapping[str, str]
    datasets: tuple[Dataset, ...]
    manifest: Manifest = field(compare=False, repr=False)
    tasks: str = ""
    """The trials of a sweep as the tasks of one array, which `script` takes; '': it is one run."""

    def describe(self) -> dict[str, Any]:
        return {
            "target": "slurm",
            "command": [self.executable, *_words(self._request(self._folder))],
            "options": [*self.options, *([f"--array={self.tasks}"] if self.tasks else [])],
            "modules": list(self.modules),
            "run_folder": str(self._folder),
            **self.manifest.outputs.described(str(self._folder)),
            "environment": dict(self.environment),
            "secrets": list(self.manifest.secrets),
            "datasets": [str(dataset.local or dataset.id) for dataset in self.datasets],
        }

    def job_file(self) -> str:
        """The batch script; sbatch takes it by hand too, with a folder in place of the placeholder."""
        return self.script(self._folder)

    @property
    def _folder(self) -> Path:
        name = self.manifest.name if self.tasks else self.model_name
        return self.request.run_folder or self.outputs_folder / RUN_PLACEHOLDER.format(model=name)

    def _request(self, folder: Path) -> EntrypointArgs:
        if not self.tasks:
            return replace(self.request, run_folder=folder)
        trial = folder / "trials" / TRIAL
        return replace(self.request, run_folder=trial, manifest=trial / "manifest.yaml", overrides=())

    def of_run(self, folder: Path) -> SlurmPlan:
        """The plan of one run of this sweep, which has a manifest of its own in its run folder."""
        request = replace(self.request, run_folder=folder, manifest=folder / "manifest.yaml", overrides=())
        return replace(self, request=request, tasks="")

    @property
    def _is_copied(self) -> bool:
        return bool(self.manifest.outputs.remote)

    def _copying(self, folder: Path) -> list[str]:
        """Starts the copying of the run folder on this node, which reads from descriptor 9 how the step has ended. It
        outlives the signals of the job, as the last checkpoint is written after them."""
        if not self._is_copied:
            return []
        words = [self.executable, "-P", "-m", "innereye_runtime.cli.mirror", self.manifest.outputs.remote, str(folder)]
        return [
            "# Beside it, the copy of the run folder.",
            f"exec 8>&1; coproc COPY {{ trap '' TERM INT; exec {shlex.join(words)} >&8; }}",
            'eval "exec 9>&${COPY[1]} ${COPY[1]}>&-"; copy=$COPY_PID',
        ]

    def script(self, folder: Path, *, log: Path | None = None) -> str:
        """What sbatch is given for one attempt in the run folder `folder`, or for the array of a sweep's trials in it.
        `log`: what the run prints, where that is not `log_of` its folder.

        Raises:
            UsageError: a path has a line break, which no option of a batch script can have.
        """
        output = str(folder / "logs" / TRIAL if self.tasks else log or log_of(folder)).replace("%", "%%")
        output = output.replace(TRIAL, f"%{_DIGITS}a.log") if self.tasks else output
        options = (*self.options, f"--comment={MARK}{folder}", f"--output={output}")
        if self.tasks:
            options += (f"--array={self.tasks}",)
        if broken := [option for option in options if not option.isprintable()]:
            raise UsageError(
                f"a batch script can't hold {broken[0]!r}", hint="use paths and names without line breaks and controls"
            )
        of_slurm = " ".join(sorted(name for name in VARIABLES if name.startswith("SLURM_")))
        command = " ".join(map(_quoted, ["exec", self.executable, *_words(self._request(folder))]))
        if self.tasks:
            command = f'trial=$(printf %0{_DIGITS}d "$SLURM_ARRAY_TASK_ID"); {command}'
        not_told = "8>&- 9>&- " if self._is_copied else ""
        lines = [
            "#!/bin/bash",
            *(f"#SBATCH {shlex.quote(option)}" for option in options),
            *(f"module load {name}" for name in self.modules),
            *(f"export {name}={shlex.quote(value)}" for name, value in self.environment.items()),
            'export MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)',
            "export MASTER_PORT=$((20000 + SLURM_JOB_ID % 10000))",
            f"task={shlex.quote(f'export NODE_RANK=$SLURM_NODEID; unset {of_slurm}; {command}')}",
            "# One task on each node, which starts the ranks there. Slurm signals the tasks and this script.",
            "trap : TERM INT",
            *self._copying(folder),
            f'srun --kill-on-bad-exit=1 --ntasks-per-node=1 bash -c "$task" {not_told}& step=$!',
            "wait $step; code=$?",
            "while kill -0 $step 2>/dev/null; do wait $step; code=$?; done",
            *(_FINISH_COPY if self._is_copied else ()),
            "exit $code",
        ]
        return "\n".join(lines) + "\n"


def plan_for(job: Job) -> SlurmPlan:
    """The plan of `job`: its run folder, code and interpreter are on file systems that the nodes share. That of a sweep
    is one array, or where trials depend on results, an array of one for each.
    """
    manifest, settings = job.manifest, job.manifest.compute.slurm
    return SlurmPlan(
        request=EntrypointArgs(
            manifest=manifest.path or Path("manifest.yaml"),
            overrides=job.overrides,
            target="slurm",
            smoke=job.smoke,
            run_folder=job.run_folder,
            code_root=job.code_root,
        ),
        options=tuple(_options(job, settings)),
        modules=settings.modules,
        executable=sys.executable,
        text=job.text,
        model_name=job.model_name,
        outputs_folder=job.outputs_folder,
        environment=dict(manifest.environment),
        datasets=datasets_of(job),
        manifest=manifest,
        tasks=_tasks(manifest),
    )


def expression_of(tasks: Sequence[int], *, limit: int | None) -> str:
    """Tasks of an array as sbatch takes them, the sorted `1 2 3 7` as `1-3,7`: at most `limit` run at a time."""
    parts: list[list[int]] = []
    for task in tasks:
        if parts and task == parts[-1][1] + 1:
            parts[-1][1] = task
        else:
            parts.append([task, task])
    text = ",".join(str(first) if first == last else f"{first}-{last}" for first, last in parts)
    return f"{text}%{limit}" if limit else text


def limit_of(manifest: Manifest) -> int | None:
    """Most trials of a sweep at a time; None: as many as the cluster has room for."""
    limit = manifest.sweep.limits.max_concurrent_trials if manifest.sweep else None
    return limit or (None if planned_ahead(manifest) else BAYESIAN_TRIALS)


def _tasks(manifest: Manifest) -> str:
    if not is_many(manifest):
        return ""
    if not planned_ahead(manifest):
        return TRIAL
    return expression_of(range(number_of_trials(manifest) * folds_of(manifest)), limit=limit_of(manifest))


def log_of(run_folder: Path) -> Path:
    """What Slurm writes of a job. Not in the run folder: it may still be written when the list of outputs is."""
    return run_folder.parent / ".slurm" / f"{run_folder.name}.log"


def _options(job: Job, settings: SlurmSettings) -> list[str]:
    compute = job.manifest.compute
    processes = processes_of(job)
    if processes is None:
        raise UsageError(
            "compute.gpus is 'all', and the number of GPUs of a cluster node is not known here",
            hint="set the number of GPUs that each node has",
        )
    options = [f"--job-name={job.manifest.name}", f"--chdir={job.cwd}", f"--nodes={compute.nodes}"]
    options += ["--ntasks-per-node=1", f"--cpus-per-task={processes}", "--requeue", "--open-mode=append"]
    if compute.gpus != "none":
        options.append(f"--gpus-per-node={processes}")
    for name in ("partition", "account", "qos", "constraint"):
        if value := getattr(settings, name):
            options.append(f"--{name}={value}")
    if settings.mem_per_cpu:
        options.append(f"--mem-per-cpu={math.ceil(settings.mem_per_cpu.bytes / (1 << 20))}M")
    if limit := settings.time or compute.max_duration:
        options += [f"--time={_minutes(limit)}", f"--signal=TERM@{_WARNING_SECONDS}"]
    return options


def _minutes(limit: Duration) -> int:
    """Slurm counts in minutes. What is kept for saving comes on top, so that training has all of its time."""
    return math.ceil((limit.seconds + _WARNING_SECONDS) / 60)


def _words(request: EntrypointArgs) -> list[str]:
    return ["-P", "-m", "innereye_runtime.entrypoint", *request.argv()]


def _quoted(word: str) -> str:
    """The word for a shell, with the variable `trial` where that stands."""
    return '"$trial"'.join(shlex.quote(part) if part else "" for part in word.split(TRIAL)) or "''"
