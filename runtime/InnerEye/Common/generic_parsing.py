"""`innereye_runtime.containers.generic` and `parameter_types` under their old name."""

from innereye_runtime.containers.generic import CudaAwareConfig, GenericConfig
from innereye_runtime.containers.parameter_types import IntTuple, ListOrDictParam

__all__ = ["CudaAwareConfig", "GenericConfig", "IntTuple", "ListOrDictParam"]
