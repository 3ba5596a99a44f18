"""The blob storage that run folders are copied to answers, and accepts the credential."""

from __future__ import annotations

from innereye_runtime.errors import InnerEyeError
from innereye_runtime.targets.preflight.context import CheckContext
from innereye_runtime.targets.preflight.result import CheckResult, failed, ok

NAME = "remote output"


def check(subject: CheckContext) -> CheckResult:
    from innereye_runtime.data.sources.blobs import BlobUrl
    from innereye_runtime.run.blob_store import BlobStore

    folder = subject.manifest.outputs.remote if subject.manifest else ""
    if not folder:
        return ok("run folders stay on this machine")
    try:
        BlobStore(BlobUrl.parse(folder)).check()
    except InnerEyeError as error:
        return failed(error)
    return ok(f"run folders are copied to {folder}")
