"""`BatchTimeCallback` under its name in hi-ml."""

from innereye_runtime.compat.successor_logging import BatchTimeCallback

__all__ = ["BatchTimeCallback"]
