"""What a model is in a few words: its description, its size and its layers, as run.json and the report have them."""

from __future__ import annotations

import inspect
from typing import Any

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

MOST_LAYERS = 100


def description_of(kind: type) -> str:
    """The first paragraph of the class's own docstring; '' where it has none, whatever its base class has."""
    text = vars(kind).get("__doc__")
    return inspect.cleandoc(text).partition("\n\n")[0] if isinstance(text, str) else ""


def summarize_model(module: nn.Module) -> dict[str, Any]:
    """`parameters` and `trainable`: their number; `bytes`: of parameters and buffers; `layers`: name, class and number
    of parameters of the submodules of the first module that has several, at most `MOST_LAYERS`.

    Nothing is computed by the network, so no random number is drawn. Empty for one without parameters, such as one that
    its `configure_model` fills later, and for one with lazy layers, whose size is not known yet.
    """
    parameters = list(module.parameters())
    tensors: list[Tensor] = [*parameters, *module.buffers()]
    if not parameters or any(is_lazy(each) for each in tensors):
        return {}
    return {
        "parameters": _count(parameters),
        "trainable": _count([each for each in parameters if each.requires_grad]),
        "bytes": sum(each.numel() * each.element_size() for each in tensors),
        "layers": [
            {"name": name, "class": type(child).__name__, "parameters": _count(list(child.parameters()))}
            for name, child in _layers(module)[:MOST_LAYERS]
        ],
    }


def _layers(module: nn.Module) -> list[tuple[str, nn.Module]]:
    prefix, children = "", list(module.named_children())
    while len(children) == 1 and (inner := list(children[0][1].named_children())):
        prefix += f"{children[0][0]}."
        children = inner
    return [(prefix + name, child) for name, child in children]


def _count(parameters: list[nn.Parameter]) -> int:
    return sum(each.numel() for each in parameters)
