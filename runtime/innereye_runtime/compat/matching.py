"""A config made from another one, by the parameters that both have."""

from __future__ import annotations

from typing import TypeVar

import param

P = TypeVar("P", bound=param.Parameterized)


def create_from_matching_params(from_object: param.Parameterized, cls_: type[P]) -> P:
    """An instance of `cls_` that has the values of `from_object` for its own parameters.

    Raises:
        AttributeError: `from_object` lacks one of them.
        ValueError: `cls_` has no parameters.
    """
    if not issubclass(cls_, param.Parameterized):
        raise ValueError(f"{cls_.__name__} is not a subclass of param.Parameterized")
    made = cls_()
    for name, parameter in made.param.objects("existing").items():
        if name != "name" and not parameter.constant and not parameter.readonly:
            setattr(made, name, getattr(from_object, name))
    return made
