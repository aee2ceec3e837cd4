"""The multilayer perceptron."""

import math
from itertools import pairwise

from torch import nn

from pyrovae.networks.network import (
    Activation,
    Network,
    Shape,
    activation_module,
    linear,
    widths,
)


class MLP(Network):
    """A multilayer perceptron from any shape to any shape.

    Arguments:
        hidden: the widths of the hidden layers; none at all is one linear map.
        activation: what stands behind each hidden layer, by torch's name in lower case.

    Raises:
        ValueError: a width is not positive, or the activation is unknown.

    Example:
        >>> import torch
        >>> net = MLP((16,), activation="relu")((1, 8, 8), (6,))
        >>> net(torch.zeros(5, 1, 8, 8)).shape
        torch.Size([5, 6])
        >>> MLP(())
        MLP(())
    """

    def __init__(
        self, hidden: tuple[int, ...] = (400, 400), *, activation: Activation = "softplus"
    ) -> None:
        self.hidden = widths(self, "hidden", hidden)
        self.activation: Activation = activation
        activation_module(self, activation)  # an unknown name is refused here, not when built

    def __call__(self, in_shape: Shape, out_shape: Shape) -> nn.Module:
        """Build the module; see `Network`."""
        layers: list[nn.Module] = [nn.Flatten()]
        sizes = (math.prod(in_shape), *self.hidden)
        for size, next_size in pairwise(sizes):
            layers += [linear(size, next_size), activation_module(self, self.activation)]
        layers += [linear(sizes[-1], math.prod(out_shape)), nn.Unflatten(1, out_shape)]
        return nn.Sequential(*layers)
