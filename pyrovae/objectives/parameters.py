"""Local parameters: train modules without Pyro's parameter store.

Pyro programs register their networks with `pyro.module`, which enters every parameter into one
store for the whole process. Under `LocalParameters` those registrations are answered with the
modules' own tensors, so that the store stays as it was.
"""

from typing import Any

from pyro.poutine.messenger import Messenger
from pyro.poutine.runtime import _PYRO_STACK
from torch import nn


class LocalParameters(Messenger):
    """Answer the registration of the given modules' parameters with the parameters themselves.

    A parameter is known by identity. Any other `pyro.param` is refused: answered with its initial
    value it would never be trained, and left to the store it would outlive the model.

    Arguments:
        *modules: the modules whose parameters are trained.

    Raises:
        ValueError: on entering a program that calls `pyro.param` for anything else; the message
            names it.

    Example:
        >>> import pyro, torch
        >>> net = nn.Linear(2, 1)
        >>> with LocalParameters(net):
        ...     _ = pyro.module("net", net)
        >>> len(pyro.get_param_store())
        0
    """

    def __init__(self, *modules: nn.Module) -> None:
        super().__init__()
        self._modules = modules
        self._own: set[int] | None = None

    def covers(self, module: nn.Module) -> bool:
        """Return whether a module is one of the given ones or part of one."""
        return any(module is part for whole in self._modules for part in whole.modules())

    def _pyro_param(self, message: Any) -> None:
        if self._own is None:  # found when first needed: our own models do not ask
            self._own = {id(p) for module in self._modules for p in module.parameters()}
        initial = message["args"][1] if len(message["args"]) > 1 else None
        if id(initial) not in self._own:
            raise ValueError(
                f"pyro.param('{message['name']}') is not a parameter of the model's or the "
                f"guide's modules, so it would not be trained here: make it an nn.Parameter of a "
                f"module registered by pyro.module, or train with pyro.infer.SVI"
            )
        message["value"] = initial
        message["done"] = True
        message["stop"] = True  # neither the store nor an outer handler has a part in it


def is_local(module: nn.Module) -> bool:
    """Return whether a `LocalParameters` around the running program covers a module."""
    return any(
        isinstance(handler, LocalParameters) and handler.covers(module) for handler in _PYRO_STACK
    )
