"""`GenericConfig`: a class of parameters that checks itself, and that speaks `param` 1 where its users do."""

from __future__ import annotations

import difflib
import warnings
from abc import ABCMeta
from collections.abc import Iterable, Mapping
from typing import Any, Self

import param
from param.parameterized import ParameterizedMetaclass

from innereye_runtime.compat import param1

param1.install()


class ConfigMeta(ABCMeta, ParameterizedMetaclass):
    """A plain value in a class body changes the default of the parameter it hides, so `num_epochs = 20` is checked as
    declared."""

    def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> None:
        super().__init__(name, bases, namespace)
        own_defaults = {
            attribute: value
            for attribute, value in namespace.items()
            if not hasattr(type(value), "__get__")
            and any(isinstance(vars(base).get(attribute), param.Parameter) for base in cls.__mro__[1:])
        }
        for attribute, value in own_defaults.items():
            delattr(cls, attribute)
            setattr(cls, attribute, value)
        cls._own_defaults = frozenset(own_defaults)


class GenericConfig(param.Parameterized, metaclass=ConfigMeta):
    """A class whose public parameters can be set by name, from its own `__init__`, a manifest or the command line."""

    def __init__(self, should_validate: bool = True, throw_if_unknown_param: bool = False, **params: Any) -> None:
        """Sets the parameters given as keywords.

        A keyword that is no parameter is told in a warning, or raised with `throw_if_unknown_param`: containers of
        the seed system hand over parameters that today have no meaning.

        Raises:
            ValueError: a value is not one the parameter takes, or `validate` refuses the whole.
        """
        cls = type(self)
        known = {name: value for name, value in params.items() if name in cls.param.objects("existing")}
        super().__init__(**known)  # type: ignore[no-untyped-call]
        for name in params.keys() - known.keys():
            if isinstance(getattr(cls, name, None), property):
                setattr(self, name, params[name])
                continue
            message = f"{cls.__name__} has no parameter '{name}'{_did_you_mean(name, cls.param.objects('existing'))}"
            if throw_if_unknown_param:
                raise ValueError(message)
            warnings.warn(f"{message}; it is left out", UserWarning, stacklevel=2)
        if should_validate:
            self.validate()

    def validate(self) -> None:
        """Raises ValueError where parameters contradict each other. Subclasses add their own rules and call
        `super()`."""

    @classmethod
    def params(cls, parameter_name: str | None = None) -> Any:
        """All parameters by name, or the one named (the `param` 1 spelling of `cls.param.objects()`)."""
        parameters = dict(cls.param.objects("existing"))
        return parameters if parameter_name is None else parameters[parameter_name]

    @classmethod
    def get_overridable_parameters(cls) -> dict[str, Any]:
        """The parameters that a manifest or the command line may set: public, and neither constant nor read-only."""
        return {
            name: parameter
            for name, parameter in cls.params().items()
            if name != "name" and not name.startswith("_") and not parameter.constant and not parameter.readonly
        }

    def get_param_values(self) -> list[tuple[str, Any]]:
        """Names and values, sorted by name (the `param` 1 spelling of `self.param.values()`)."""
        return sorted(self.param.values().items())

    def set_param(self, *pair: Any, **values: Any) -> None:
        """Sets parameters by name (the `param` 1 spelling of `self.param.update`)."""
        self.param.update(dict([pair]) | values if pair else values)

    def apply_overrides(
        self,
        values: Mapping[str, Any] | None,
        should_validate: bool = True,
        keys_to_ignore: Iterable[str] | None = None,
    ) -> dict[str, Any]:
        """Sets those of `values` that are overridable parameters, and returns them.

        Raises:
            ValueError: a name is no overridable parameter (unless it is in `keys_to_ignore`), or a value isn't taken.
        """
        overridable = self.get_overridable_parameters()
        ignored = set(keys_to_ignore or ())
        wanted = {name: value for name, value in (values or {}).items() if name not in ignored}
        for name in wanted:
            if name not in overridable:
                raise ValueError(f"{type(self).__name__} has no parameter '{name}'{_did_you_mean(name, overridable)}")
        for name, value in wanted.items():
            setattr(self, name, value)
        if should_validate:
            self.validate()
        return wanted

    @classmethod
    def parse_args(cls, args: list[str] | None = None) -> Self:
        """An instance with the parameters that `args` (default: the program's own) set, as in `--num_layers=7`.

        Raises:
            ValueError: an argument is no parameter, or its value is not one the parameter takes.
        """
        import sys

        from innereye_runtime.parameters.from_class import parameters_of, python_value
        from innereye_runtime.parameters.overrides import values_of

        values = values_of(parameters_of(cls), sys.argv[1:] if args is None else args)
        typed = {name: python_value(cls.params(name), value) for name, value in values.items()}
        return cls(**typed)


class CudaAwareConfig(GenericConfig):
    """A config that knows whether to use the GPU: only where it is asked to and there is one."""

    use_gpu = param.Boolean(default=False, allow_None=True, doc="Use the GPU where there is one.")

    def get_cuda_device(self) -> Any:
        """The current CUDA device, or None without one."""
        import torch

        return torch.device("cuda", torch.cuda.current_device()) if self.use_gpu and torch.cuda.is_available() else None


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), 1)
    return f" (did you mean '{near[0]}'?)" if near else ""
