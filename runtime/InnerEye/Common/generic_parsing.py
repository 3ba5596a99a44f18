"""`innereye_runtime.api.params.generic_config` and `types` under their old name."""

from innereye_runtime.api.params.generic_config import CudaAwareConfig, GenericConfig
from innereye_runtime.compat.matching import create_from_matching_params
from innereye_runtime.parameters.types import IntTuple, ListOrDictParam

__all__ = ["CudaAwareConfig", "GenericConfig", "IntTuple", "ListOrDictParam", "create_from_matching_params"]
