"""Conditions: networks of two inputs, each with a first layer of its own.

The first layers' outputs are summed by broadcasting. So where a condition is enumerated, on more
dimensions on the left, the first layer's work on the other input is done once and not repeated for
each value of the condition.
"""

import inspect
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pyrovae.networks.network import Builder, Shape, linear


class Conditioned(nn.Module):
    """A network of an input and a condition, `rest(first(value) + beside(condition))`.

    Both are `[rows, ...]`, of the same rows or one of a single row. `Folded` runs the three parts
    one by one, so that each input is folded with the dimensions that it has itself.

    Arguments:
        first: the first layer of the input.
        beside: the first layer of the condition; what it returns broadcasts with the other's.
        rest: what comes behind their sum.

    Example:
        >>> net = Conditioned(nn.Linear(3, 4), nn.Linear(2, 4), nn.Softplus())
        >>> net(torch.zeros(5, 3), torch.zeros(5, 2)).shape
        torch.Size([5, 4])
    """

    def __init__(self, first: nn.Module, beside: nn.Module, rest: nn.Module) -> None:
        super().__init__()
        self.first = first
        self.beside = beside
        self.rest = rest
        self.takes_observed = bool(getattr(first, "takes_observed", False))

    def forward(self, value: Tensor, condition: Tensor, **told: Tensor) -> Tensor:
        """Apply the network; what it is told by name goes to the first layer of the input."""
        output: Tensor = self.rest(self.first(value, **told) + self.beside(condition))
        return output


def assembled(
    layers: Sequence[nn.Module], *, first: int, joint: Shape, condition_shape: Shape | None
) -> nn.Module:
    """Return layers as one network, of one input or of two.

    Arguments:
        layers: all layers, from the input to the output.
        first: how many of them make up the first layer of the input.
        joint: the shape of what the condition's first layer adds to a row behind them.
        condition_shape: the shape of one condition, None where there is none.
    """
    if condition_shape is None:
        return nn.Sequential(*layers)
    beside = nn.Sequential(
        nn.Flatten(),
        linear(math.prod(condition_shape), math.prod(joint), bias=False),
        nn.Unflatten(1, joint),
    )
    return Conditioned(nn.Sequential(*layers[:first]), beside, nn.Sequential(*layers[first:]))


def built(
    builder: Builder, in_shape: Shape, out_shape: Shape, condition_shape: Shape | None
) -> nn.Module:
    """Return what a builder builds; with a condition, a module of `(value, condition)`.

    A builder that has no argument `condition_shape` builds a network of one vector, which holds
    the input and the condition.
    """
    if condition_shape is None:
        return builder(in_shape, out_shape)
    if _takes_condition(builder):
        conditional: Any = builder
        made: nn.Module = conditional(in_shape, out_shape, condition_shape=condition_shape)
        return made
    network = builder((math.prod(in_shape) + math.prod(condition_shape),), out_shape)
    return _Concatenated(network) if isinstance(network, nn.Module) else network


def _takes_condition(builder: Builder) -> bool:
    try:
        return "condition_shape" in inspect.signature(builder).parameters
    except (TypeError, ValueError):  # of what is not written in Python
        return False


class _Concatenated(nn.Module):
    """A network of one vector as one of an input and a condition."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.takes_observed = bool(getattr(network, "takes_observed", False))

    def forward(
        self, value: Tensor, condition: Tensor, *, observed: Tensor | None = None
    ) -> Tensor:
        both = torch.cat([value.flatten(1), condition.flatten(1)], dim=1)
        told = {}
        if observed is not None:  # a condition is always known
            known = torch.ones_like(condition.flatten(1), dtype=torch.bool)
            told["observed"] = torch.cat([observed.flatten(1), known], dim=1)
        output: Tensor = self.network(both, **told)
        return output


def behind(
    front: nn.Module,
    builder: Builder,
    *,
    width: int,
    out_shape: Shape,
    condition_shape: Shape | None,
) -> nn.Module:
    """Return a network with a front that makes its input a vector.

    Arguments:
        front: takes `[rows, *in_shape]` to `[rows, width]`; it learns what is observed if it says
            so by an attribute `takes_observed = True`.
        builder: builds the network behind it.
        width: the size of the vector.
        out_shape: the shape of one output.
        condition_shape: the shape of one condition, None where there is none.

    Raises:
        TypeError: the builder did not build a module.
        ValueError: the network behind asks for what is observed, which the front has used up.
    """
    network = built(builder, (width,), out_shape, condition_shape)
    if not isinstance(network, nn.Module):
        raise TypeError(f"{builder!r} built {type(network).__name__}; expected a torch.nn.Module")
    if getattr(network, "takes_observed", False):
        raise ValueError(
            f"{builder!r} cannot stand behind another network: it asks which entries of x are "
            f"observed, and here it sees a vector of {width} numbers made of them; let it be the "
            f"outer one"
        )
    if isinstance(network, Conditioned):
        return Conditioned(_Chain(front, network.first), network.beside, network.rest)
    return _Chain(front, network)


class _Chain(nn.Module):
    """A front and a network behind it, of an input, or of an input and a condition."""

    def __init__(self, front: nn.Module, network: nn.Module) -> None:
        super().__init__()
        self.front = front
        self.network = network
        self.takes_observed = bool(getattr(front, "takes_observed", False))

    def forward(self, value: Tensor, *condition: Tensor, **told: Tensor) -> Tensor:
        output: Tensor = self.network(self.front(value, **told), *condition)
        return output
