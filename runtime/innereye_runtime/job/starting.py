"""What a run folder says of its run from its first moment on, so that a run that is killed then can be resumed."""

from __future__ import annotations

from innereye_runtime import __version__
from innereye_runtime.job.entrypoint_args import EntrypointArgs
from innereye_runtime.job.manifest_folder import manifest_folder
from innereye_runtime.manifest.model import Manifest
from innereye_runtime.manifest.serializer import dump, to_data
from innereye_runtime.run.paths import RunPaths
from innereye_runtime.run.record import RunRecord


def write_start(paths: RunPaths, manifest: Manifest, request: EntrypointArgs, *, model: str) -> None:
    """Writes manifest.yaml and the record of a run that has no attempt yet, where there is no record.

    Raises:
        OSError: the folder can't be written.
    """
    if paths.run_json.exists():
        return
    paths.root.mkdir(parents=True, exist_ok=True)
    paths.manifest.write_text(dump(manifest), encoding="utf-8")
    target = request.target or "process"
    record = RunRecord(id=paths.root.name, model=model, target=target, smoke=request.smoke, state="starting")
    record.manifest = to_data(manifest)
    record.runtime_version = __version__
    if request.code_root is not None:
        record.code = {"root": str(request.code_root), "commit": None, "dirty": False, "diff": ""}
        record.code["manifest_folder"] = manifest_folder(manifest.path, request.code_root)
    record.write(paths)
