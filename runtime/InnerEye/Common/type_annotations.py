"""`innereye_runtime.compat.type_annotations` under its old name."""

from innereye_runtime.compat.type_annotations import (
    DictStrFloat,
    IntOrString,
    PathOrString,
    T,
    TupleFloat2,
    TupleFloat3,
    TupleInt2,
    TupleInt3,
)

__all__ = [
    "DictStrFloat",
    "IntOrString",
    "PathOrString",
    "T",
    "TupleFloat2",
    "TupleFloat3",
    "TupleInt2",
    "TupleInt3",
]
