"""`innereye_runtime.containers.parameters.generic` and `parameter_types` under their old name."""

from innereye_runtime.containers.parameters.generic import CudaAwareConfig, GenericConfig
from innereye_runtime.containers.parameters.types import IntTuple, ListOrDictParam

__all__ = ["CudaAwareConfig", "GenericConfig", "IntTuple", "ListOrDictParam"]
