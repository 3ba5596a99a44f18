"""The bytes that a tensor's values are, whatever the way that PyTorch keeps them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import torch

_PARTS: Final[dict[str, tuple[str, str]]] = {
    "torch.sparse_csr": ("crow_indices", "col_indices"),
    "torch.sparse_bsr": ("crow_indices", "col_indices"),
    "torch.sparse_csc": ("ccol_indices", "row_indices"),
    "torch.sparse_bsc": ("ccol_indices", "row_indices"),
}


def tensor_bytes(tensor: torch.Tensor) -> Iterator[memoryview]:
    """The values of a dense tensor as contiguous bytes; of others the parts that they are made of, one after another.

    A sparse tensor is its indices and values, a quantised one its whole numbers with scales and zero points, a nested
    one its tensors. One on the device `meta` has none.
    """
    import torch

    if tensor.is_meta:
        return
    tensor = tensor.detach()
    if tensor.is_nested:
        for item in tensor.unbind():
            yield memoryview(str(item.shape).encode())
            yield from tensor_bytes(item)
    elif tensor.layout is torch.sparse_coo:
        whole = tensor.coalesce()
        yield from tensor_bytes(whole.indices())
        yield from tensor_bytes(whole.values())
    elif str(tensor.layout) in _PARTS:
        for name in (*_PARTS[str(tensor.layout)], "values"):
            yield from tensor_bytes(getattr(tensor, name)())
    elif tensor.is_quantized:
        yield from tensor_bytes(tensor.int_repr())
        yield from map(_memory, _scales(tensor))
    elif tensor.is_complex():
        yield from tensor_bytes(torch.view_as_real(tensor.resolve_conj()))
    else:
        yield _memory(tensor)


def _memory(tensor: torch.Tensor) -> memoryview:
    import torch

    flat = tensor.resolve_neg().cpu().contiguous().reshape(-1)
    data: memoryview = flat.view(torch.uint8).numpy().data
    return data


def _scales(tensor: torch.Tensor) -> tuple[torch.Tensor, ...]:
    import torch

    if tensor.qscheme() in (torch.per_tensor_affine, torch.per_tensor_symmetric):
        return torch.tensor(tensor.q_scale()), torch.tensor(tensor.q_zero_point())
    return tensor.q_per_channel_scales(), tensor.q_per_channel_zero_points()
