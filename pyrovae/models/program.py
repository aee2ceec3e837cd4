"""Programs: methods that are Pyro programs, seen from outside as modules.

A bound method has no parameters, so `Trace_ELBO()(vae.model, vae.guide)` would have none to train.
A method declared with `program` is, on access, a thin `nn.Module` whose `forward` is the method
and whose child is the model.
"""

from collections.abc import Callable
from itertools import count
from typing import Any, overload

import pyro
from torch import nn

_NUMBERS = count(1)


class Program(nn.Module):
    """A view of a model as one of its programs.

    Arguments:
        module: the model.
        name: the name of the method that was declared with `program`.
        owner: the class that declares it, so that `super().model(...)` runs the parent's.
    """

    def __init__(self, module: nn.Module, name: str, owner: type[nn.Module]) -> None:
        super().__init__()
        self.module = module
        self.name = name
        self.owner = owner

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the program."""
        return vars(self.owner)[self.name].function(self.module, *args, **kwargs)


class program:  # noqa: N801  (a decorator)
    """Declare a method of a module as a Pyro program."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.__doc__ = function.__doc__

    def __set_name__(self, owner: type[nn.Module], name: str) -> None:
        self.owner, self.name = owner, name

    @overload
    def __get__(self, instance: None, owner: type[nn.Module]) -> "program": ...
    @overload
    def __get__(self, instance: nn.Module, owner: type[nn.Module]) -> Program: ...
    def __get__(self, instance: nn.Module | None, owner: type[nn.Module]) -> "program | Program":
        """Return the view of an instance, or the declaration itself of the class."""
        return self if instance is None else Program(instance, self.name, self.owner)


class Scope:
    """A name for one instance's parameters in Pyro's store, which no copy shares.

    Under Pyro's usual fixed names a second model in one process would silently never be trained.
    """

    def __init__(self) -> None:
        self.number = next(_NUMBERS)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Scope":
        return Scope()

    def __reduce__(self) -> tuple[type["Scope"], tuple[()]]:
        return Scope, ()


def register(module: nn.Module, scope: Scope) -> None:
    """Register a module's parameters with Pyro, as `pyro.module` does, under the scope's name.

    Frozen parameters are left out, and stay frozen. A parameter that was replaced by another
    tensor since is registered anew: the store would go on training the old one.

    Arguments:
        module: the module, whole.
        scope: the instance's scope.

    Raises:
        ValueError: a parameter is not contiguous: Pyro would train a copy of it instead.
    """
    prefix = f"{type(module).__name__}-{scope.number}"
    for name, parameter in module.named_parameters():
        if not parameter.requires_grad:
            continue
        if not parameter.is_contiguous():
            raise ValueError(
                f"parameter '{name}' of {type(module).__name__} is not contiguous (shape "
                f"{tuple(parameter.shape)}, strides {parameter.stride()}), and Pyro would train "
                f"a copy of it; keep the model in torch.contiguous_format"
            )
        full_name = f"{prefix}$$${name}"
        if pyro.param(full_name, parameter) is not parameter:
            del pyro.get_param_store()[full_name]
            pyro.param(full_name, parameter)
