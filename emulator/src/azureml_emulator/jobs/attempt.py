"""One start of a job, as its nodes see it: paths, mounts, environment variables and the command. Nothing runs here.

The model was observed in logs and dumps of real jobs, or is in Microsoft's documentation and code:

* the working directory is a copy of the code; inputs are at `INPUT_{name}` and outputs at `{name}` of a data folder;
* `AZURE_ML_INPUT_{name}` and `AZURE_ML_OUTPUT_{name}` are their paths, and in the command `${{inputs.x}}` and
  `${{outputs.x}}`;
* `./outputs` and `./logs` of the working directory are kept, and restored when a preempted job starts again;
* PyTorch distribution: MASTER_ADDR, MASTER_PORT, WORLD_SIZE, NODE_RANK for each node, RANK and LOCAL_RANK for each
  process (learn.microsoft.com/azure/machine-learning/how-to-train-distributed-gpu).
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from azureml_emulator.errors import JobError
from azureml_emulator.jobs.cleanup import labels
from azureml_emulator.state.job import CommandJob
from azureml_emulator.state.workspace import Workspace
from azureml_emulator.storage.blob_sync import BlobSync
from azureml_emulator.storage.output_store import OutputStore, StoreMode

PLACEHOLDER = re.compile(r"\$\{\{\s*(\w+)\.([\w.]+)\s*\}\}")
KEPT_FOLDERS = ("outputs", "logs")
LOG_FOLDER = "user_logs"
MASTER_PORT = "6105"
_AUTHORITY = "/mnt/azureml/emulator/authority.pem"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOutput:
    folders: list[Path]
    """One for all nodes; for each node its own where the store gives each a view of its own."""
    inside: str
    container: str
    prefix: str
    mode: str
    store: OutputStore

    @property
    def is_mount(self) -> bool:
        """Whether files are uploaded while the job runs; else they are uploaded at its end."""
        return self.mode == "ReadWriteMount"


@dataclass(slots=True, kw_only=True)
class JobAttempt:
    """Host folders and container settings of one start; `node_command` is the `docker run` command of a node."""

    workspace: Workspace
    job: CommandJob
    folder: Path
    base: str
    """The folder of the job inside its containers."""
    mounts: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    values: dict[tuple[str, str], str] = field(default_factory=dict)
    """The value of each placeholder in the command."""
    store_modes: Sequence[StoreMode] = ()
    outputs: dict[str, JobOutput] = field(default_factory=dict)
    working_folders: list[Path] = field(default_factory=list)
    """On this machine, one for each node."""

    @property
    def nodes(self) -> int:
        return int(self.job.resources.get("instanceCount") or 1)

    @property
    def distribution(self) -> Mapping[str, Any]:
        return self.job.properties.get("distribution") or {}

    @property
    def processes(self) -> int:
        """The number of processes on each node."""
        return int(self.distribution.get("processCountPerInstance") or 1)

    @property
    def network(self) -> str:
        return f"azureml-{self.job.uuid.hex[:12]}-{self.job.attempt}"

    def node_name(self, node: int) -> str:
        return f"node{node}-{self.job.uuid.hex[:12]}"

    def node_command(self, node: int, image: str) -> list[str]:
        """The arguments of `docker` that run this node."""
        name, wd = self.node_name(node), f"{self.base}/exe/wd"
        command = PLACEHOLDER.sub(lambda match: self.values[match[1], match[2]], self.job.properties["command"])
        script = LAUNCH if self.distribution.get("distributionType") == "PyTorch" else SINGLE
        words = [
            "run",
            *labels(),
            "--name",
            name,
            "--hostname",
            name,
            "--network",
            self.network,
            "--network-alias",
            name,
            "--init",
        ]
        words += ["--volume", f"{self.working_folders[node]}:{wd}", "--workdir", wd, *self.mounts]
        for output in self.outputs.values():
            words += ["--volume", f"{output.folders[node % len(output.folders)]}:{output.inside}"]
        words += ["--shm-size", str(self.job.resources.get("shmSize") or "2g")]
        for key, value in {**self.environment, **self._node_variables(node)}.items():
            words += ["--env", f"{key}={value}"]
        words += shlex.split(self.job.resources.get("dockerArgs") or "")
        return [
            *words,
            "--entrypoint",
            "/bin/bash",
            image,
            "-c",
            script,
            "launch",
            command,
            str(self.processes),
            str(node),
        ]

    def _node_variables(self, node: int) -> dict[str, str]:
        variables = {"AZUREML_CR_NODE_RANK": str(node), "AZUREML_NODE_COUNT": str(self.nodes)}
        if not self.distribution and self.nodes == 1:
            return variables
        master = self.node_name(0)
        return variables | {
            "NODE_RANK": str(node),
            "MASTER_ADDR": master,
            "MASTER_PORT": MASTER_PORT,
            "WORLD_SIZE": str(self.nodes * self.processes),
            "AZ_BATCH_MASTER_NODE": f"{master}:{MASTER_PORT}",
            "AZ_BATCHAI_MPI_MASTER_NODE": master,
            "AZ_BATCHAI_JOB_MASTER_NODE_IP": master,
            "AZ_BATCH_HOST_LIST": ",".join(map(self.node_name, range(self.nodes))),
        }


def prepare_attempt(
    workspace: Workspace,
    job: CommandJob,
    root: Path,
    sync: BlobSync,
    *,
    token: str,
    proxy: str,
    authority: Path,
    store_modes: Sequence[StoreMode] = (),
) -> JobAttempt:
    """The next attempt of `job`; its code, its inputs and the files of earlier attempts are downloaded.

    `proxy`: the URL of the emulator's proxy for a container; empty if containers cannot reach it.

    Raises:
        JobError: an input does not exist.
    """
    base = f"/mnt/azureml/cr/j/{job.uuid.hex}"
    attempt = JobAttempt(
        workspace=workspace, job=job, folder=root / f"attempt{job.attempt}", base=base, store_modes=store_modes
    )
    data = f"{base}/cap/data-capability/wd"
    for name, definition in job.inputs.items():
        _add_input(attempt, name, definition, data, sync)
    for name, definition in job.outputs.items():
        _add_output(attempt, name, definition, data, sync)
    for node in range(attempt.nodes):
        attempt.working_folders.append(_working_folder(attempt, node, sync))
    attempt.environment |= _service_variables(workspace, job, base, token)
    if proxy:
        attempt.mounts += ["--volume", f"{authority}:{_AUTHORITY}:ro"]
        hidden = ",".join(["localhost", "127.0.0.1", *map(attempt.node_name, range(attempt.nodes))])
        for variable, value in (("HTTPS_PROXY", proxy), ("NO_PROXY", hidden)):
            attempt.environment |= {variable: value, variable.lower(): value}
        attempt.environment |= {"REQUESTS_CA_BUNDLE": _AUTHORITY, "SSL_CERT_FILE": _AUTHORITY}
    given = job.properties.get("environmentVariables") or {}
    store, mounted = OutputStore(store_modes), [each.inside for each in attempt.outputs.values() if each.is_mount]
    attempt.mounts += store.mounts()
    attempt.environment |= {**given, **store.environment(mounted, given)}
    return attempt


def _add_input(attempt: JobAttempt, name: str, definition: Mapping[str, Any], data: str, sync: BlobSync) -> None:
    environment, values = attempt.environment, attempt.values
    if definition["jobInputType"] == "literal":
        values["inputs", name] = environment[f"AZUREML_PARAMETER_{name}"] = definition["value"]
        return
    mode = definition.get("mode") or "ReadOnlyMount"
    if mode == "Direct":
        values["inputs", name] = environment[f"AZURE_ML_INPUT_{name}"] = definition["uri"]
        return
    host, inside = attempt.folder / "inputs" / name, f"{data}/INPUT_{name}"
    container, prefix = attempt.workspace.locate(definition["uri"])
    if not sync.download(container, prefix, host):
        raise JobError(f"input {name}: {definition['uri']} does not exist")
    attempt.mounts += ["--volume", f"{host}:{inside}" + (":ro" if mode.endswith("Mount") else "")]
    value = f"{inside}/{Path(prefix).name}" if definition["jobInputType"] == "uri_file" else inside
    values["inputs", name] = environment[f"AZURE_ML_INPUT_{name}"] = environment[f"AZUREML_DATAREFERENCE_{name}"] = (
        value
    )


def _add_output(attempt: JobAttempt, name: str, definition: Mapping[str, Any], data: str, sync: BlobSync) -> None:
    inside, mode = f"{data}/{name}", definition.get("mode") or "ReadWriteMount"
    store, folder = OutputStore(attempt.store_modes), attempt.folder / "outputs" / name
    folders = store.views(folder, attempt.nodes) if mode == "ReadWriteMount" else [folder]
    container, prefix = attempt.workspace.locate(attempt.workspace.output_uri(attempt.job, name))
    output = JobOutput(folders=folders, inside=inside, container=container, prefix=prefix, mode=mode, store=store)
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        if output.is_mount:  # it shows existing files, including those of a preempted attempt
            sync.download(container, prefix, folder)
    attempt.outputs[name] = output
    attempt.values["outputs", name] = inside
    attempt.environment |= {f"AZURE_ML_OUTPUT_{name}": inside, name: inside}


def _working_folder(attempt: JobAttempt, node: int, sync: BlobSync) -> Path:
    workspace, job = attempt.workspace, attempt.job
    host = attempt.folder / f"node{node}"
    host.mkdir(parents=True)
    code = re.search(r"/codes/([^/]+)/versions/([^/]+)$", job.properties.get("codeId") or "")
    if code:
        asset = workspace.asset("codes", code[1], code[2])
        sync.download(*workspace.locate(asset["properties"]["codeUri"]), host)
    for folder in KEPT_FOLDERS:
        (host / folder).mkdir(exist_ok=True)
        if node == 0:
            sync.download(workspace.artifacts, f"{job.artifact_prefix}/{folder}", host / folder)
    (host / LOG_FOLDER).mkdir()
    return host


def _service_variables(workspace: Workspace, job: CommandJob, base: str, token: str) -> dict[str, str]:
    context = {
        "cluster_name": job.compute,
        "run_attempt_count": job.attempt,
        "gpu_count": 0,
        "vm_priority": (job.properties.get("queueSettings") or {}).get("jobTier"),
    }
    return {
        "AZUREML_RUN_ID": job.name,
        "AZUREML_ROOT_RUN_ID": job.parent or job.name,
        "AZUREML_RUN_TOKEN": token,
        "AZUREML_SERVICE_ENDPOINT": workspace.api,
        "AZUREML_RUN_HISTORY_SERVICE_ENDPOINT": workspace.api,
        "AZUREML_DISCOVERY_SERVICE_ENDPOINT": f"{workspace.api}/discovery",
        "AZUREML_ARM_SUBSCRIPTION": workspace.subscription,
        "AZUREML_ARM_RESOURCEGROUP": workspace.group,
        "AZUREML_ARM_WORKSPACE_NAME": workspace.name,
        "AZUREML_ARM_PROJECT_NAME": job.experiment,
        "AZUREML_WORKSPACE_ID": workspace.guid,
        "AZUREML_WORKSPACE_SCOPE": workspace.id,
        "AZUREML_EXPERIMENT_ID": job.experiment_id,
        "AZUREML_EXPERIMENT_SCOPE": f"{workspace.id}/experiments/{job.experiment}",
        "AZUREML_CR_EXECUTION_WORKING_DIR_PATH": f"{base}/exe/wd",
        "AZUREML_CR_DATA_CAPABILITY_PATH": f"{base}/cap/data-capability/wd",
        "AZUREML_CR_COMPUTE_CONTEXT": json.dumps(context),
        "MLFLOW_EXPERIMENT_ID": job.experiment_id,
        "MLFLOW_EXPERIMENT_NAME": job.experiment,
        "MLFLOW_RUN_ID": job.name,
        "MLFLOW_TRACKING_TOKEN": token,
        "MLFLOW_TRACKING_URI": workspace.tracking_uri,
    }


SINGLE = r"""
bash -c "$1" > user_logs/std_log.txt 2>&1 & pid=$!
trap 'kill -TERM $pid' TERM INT
wait $pid; code=$?
while kill -0 $pid 2>/dev/null; do wait $pid; code=$?; done
exit $code
"""
"""The output of the user's process is written to one file."""

LAUNCH = r"""
command=$1 n=$2 node=$3 pids=()
for ((i = 0; i < n; i++)); do
  rank=$((node * n + i))
  log=user_logs/std_log_process_$(printf "%0${#n}d" $rank).txt
  AZUREML_PROCESS_NAME=rank_$rank RANK=$rank LOCAL_RANK=$i LOCAL_WORLD_SIZE=$n bash -c "$command" > "$log" 2>&1 &
  pids+=($!)
done
trap 'kill -TERM "${pids[@]}" 2>/dev/null' TERM INT
code=0
for p in "${pids[@]}"; do
  wait $p; c=$?
  while kill -0 $p 2>/dev/null; do wait $p; c=$?; done
  if ((c && !code)); then code=$c; kill -TERM "${pids[@]}" 2>/dev/null; fi
done
exit $code
"""
"""One file for each process; if one fails, the others are ended."""
