"""What run.json says of the checkpoints of a run."""

from __future__ import annotations

from innereye_runtime.run.paths import RunPaths
from innereye_runtime.training.checkpoints.best_metric import LAST, MONITORS
from innereye_runtime.training.checkpoints.checkpoint_files import STATE_KEY, Progress, open_checkpoint
from innereye_runtime.training.checkpoints.weights import weights_sha256


def describe_checkpoints(paths: RunPaths, progress: Progress) -> dict[str, dict[str, object]]:
    """The best and the last checkpoint for run.json: path, epoch, digest of the weights, and why it is the best."""
    found: dict[str, dict[str, object]] = {}
    for name, path in (("best", paths.best_checkpoint), ("last", paths.last_checkpoint)):
        if path.exists():
            content = open_checkpoint(path)
            state = content["callbacks"][STATE_KEY]
            found[name] = {
                "path": str(path.relative_to(paths.root)),
                "epoch": state["epochs"] - (not state.get("inside")),
                "weights_sha256": weights_sha256(content["state_dict"]),
                "metrics": state["metrics"],
            }
    if "best" in found:
        found["best"] |= {
            "monitor": progress.monitor or None,
            "mode": progress.mode,
            "value": progress.best_value,
            "reason": describe_best(progress),
        }
    return found


def describe_best(progress: Progress) -> str:
    """Why best.ckpt is the best, in words."""
    if progress.monitor == LAST:
        return "the last epoch: checkpoint_monitor is 'last'"
    if progress.best_value is None:
        logged = sorted(name for names in progress.metrics.values() for name in names)
        if progress.monitor in logged:
            return f"the last epoch: '{progress.monitor}' was never a number"
        if progress.monitor:
            return f"the last epoch: '{progress.monitor}' was never logged; logged: {', '.join(logged) or 'nothing'}"
        return f"the last epoch: none of {', '.join(MONITORS)} was logged"
    extreme = "lowest" if progress.mode == "min" else "highest"
    return f"the {extreme} {progress.monitor}: {progress.criterion}"
