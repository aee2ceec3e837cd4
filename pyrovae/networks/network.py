"""Network: a description that builds a module once the shapes are known."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Literal

from torch import nn

from pyrovae.declared import Declared
from pyrovae.numeric import is_count, limit

Shape = tuple[int, ...]
Builder = Callable[[Shape, Shape], nn.Module]  # what a network is to a model: any such function
Activation = Literal["relu", "leaky_relu", "elu", "gelu", "silu", "softplus", "tanh"]

_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "tanh": nn.Tanh,
}


class Network(Declared, ABC):
    """A description of a network: called with the two shapes, it builds the module.

    A network knows nothing of probability. What it builds takes `[batch, *in_shape]` to
    `[batch, *out_shape]`; more leading dimensions are folded by `Folded`, around every network.

    With an argument `condition_shape=None`, which all networks of this room have, it can build a
    module of `(value, condition)` too. One without it gets both as one vector.
    """

    @abstractmethod
    def __call__(self, in_shape: Shape, out_shape: Shape) -> nn.Module:
        """Build the module that takes `[batch, *in_shape]` to `[batch, *out_shape]`."""


def activation_module(network: Network, name: str) -> nn.Module:
    """Return a new module for an activation by its name in torch, in lower case."""
    if not isinstance(name, str) or name not in _ACTIVATIONS:
        raise ValueError(
            f"{type(network).__name__} expects an activation among {sorted(_ACTIVATIONS)}; "
            f"got {name!r}"
        )
    return _ACTIVATIONS[name]()


def widths(network: Network, name: str, values: tuple[int, ...]) -> tuple[int, ...]:
    """Return layer widths as a tuple, checked to be positive integers."""
    checked = tuple(values) if isinstance(values, list | tuple) else (values,)
    if not all(map(is_count, checked)):
        above = "".join(limit(value) for value in checked[:1])
        raise ValueError(
            f"{type(network).__name__} expects {name} to be positive integers{above}; "
            f"got {values!r}"
        )
    return checked


def linear(in_features: int, out_features: int, *, bias: bool = True) -> nn.Linear:
    """Return a linear map with Glorot-uniform weights and a zero bias.

    Glorot and Bengio, 2010.
    """
    layer = nn.Linear(in_features, out_features, bias=bias)
    nn.init.xavier_uniform_(layer.weight)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer
