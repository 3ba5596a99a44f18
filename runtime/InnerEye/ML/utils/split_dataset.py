"""`DatasetSplits` under its old name."""

from innereye_runtime.compat.dataset_splits import DatasetSplits

__all__ = ["DatasetSplits"]
