"""Whether the model that a container makes can be evaluated, as far as its source shows: `create_model` returns an
object of one class, and every class that it inherits from is read or known."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence

from innereye_runtime.introspection.static.resolver import (
    OWN_PACKAGES,
    ExternalSymbol,
    SourceClass,
    SourceModules,
    statements,
)

_Bases = Sequence[SourceClass | ExternalSymbol]

_EVALUATES = frozenset(
    {
        "test_step",
        "predict_step",
        "inference_step",
        "on_inference_start",
        "on_inference_epoch_start",
        "on_inference_epoch_end",
        "on_inference_end",
    }
)
"""The methods of which a model has one at least, if anything is to be evaluated after training."""
_FRAMEWORK = ("pytorch_lightning", "lightning")


def model_without_evaluation(
    container: _Bases, modules: SourceModules, known_bases: Callable[[SourceClass], _Bases | None]
) -> SourceClass | None:
    """The class of the model, where it is seen to have neither a `test_step` nor an `inference_step`; None where it has
    one, or its source does not show it. `known_bases`: all classes of a class, itself first, or None if some can't be
    read."""
    model = _model_class(container, modules)
    bases = known_bases(model) if model is not None else None
    if bases is None or not any(isinstance(base, ExternalSymbol) and _is_module(base) for base in bases):
        return None
    for base in bases:
        if isinstance(base, SourceClass) and not base.module.place.name.startswith(OWN_PACKAGES):
            if _EVALUATES & _names(base.node.body):
                return None
        elif isinstance(base, ExternalSymbol) and not _is_module(base) and not base.name.startswith("builtins."):
            return None  # a base of another package may bring a test_step
    return model


def _model_class(container: _Bases, modules: SourceModules) -> SourceClass | None:
    for cls in container:
        for node in cls.node.body if isinstance(cls, SourceClass) else ():
            if isinstance(node, ast.FunctionDef) and node.name == "create_model":
                assert isinstance(cls, SourceClass)
                returns = [each for each in ast.walk(node) if isinstance(each, ast.Return)]
                value = returns[0].value if len(returns) == 1 else None
                found = modules.resolve(cls.module, value.func) if isinstance(value, ast.Call) else None
                return found if isinstance(found, SourceClass) else None
    return None


def _is_module(base: ExternalSymbol) -> bool:
    return base.name.startswith(_FRAMEWORK) and base.name.endswith(".LightningModule")


def _names(body: Sequence[ast.stmt]) -> set[str]:
    """What a class body defines or assigns."""
    found = set()
    for node in statements(body):
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return found
