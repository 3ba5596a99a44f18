"""Names for types, under their name in hi-ml."""

from innereye_runtime.compat.type_annotations import (
    DictStrFloat,
    IntOrString,
    PathOrPathList,
    PathOrString,
    StringOrStringList,
    T,
    TupleFloat2,
    TupleFloat3,
    TupleInt2,
    TupleInt3,
)

__all__ = [
    "DictStrFloat",
    "IntOrString",
    "PathOrPathList",
    "PathOrString",
    "StringOrStringList",
    "T",
    "TupleFloat2",
    "TupleFloat3",
    "TupleInt2",
    "TupleInt3",
]
