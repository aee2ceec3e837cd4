"""The multilayer perceptron."""

import math
from itertools import pairwise

from torch import nn

from pyrovae.networks.conditioned import assembled
from pyrovae.networks.network import (
    Activation,
    Network,
    Shape,
    activation_module,
    linear,
    widths,
)
from pyrovae.networks.normalization import (
    Normalization,
    normalization_layers,
    require_normalization,
)


class MLP(Network):
    """A multilayer perceptron from any shape to any shape.

    Arguments:
        hidden: the widths of the hidden layers; none at all is one linear map.
        activation: what stands behind each hidden layer, by torch's name in lower case.
        normalization: what stands between each hidden layer and its activation: "none"; "batch",
            over the rows; "layer", over the units of a row.

    Raises:
        ValueError: a width is not positive, or the activation or normalization is unknown.

    Example:
        >>> import torch
        >>> net = MLP((16,), activation="relu")((1, 8, 8), (6,))
        >>> net(torch.zeros(5, 1, 8, 8)).shape
        torch.Size([5, 6])
        >>> MLP(())
        MLP(())
    """

    def __init__(
        self,
        hidden: tuple[int, ...] = (400, 400),
        *,
        activation: Activation = "softplus",
        normalization: Normalization = "none",
    ) -> None:
        self.hidden = widths(self, "hidden", hidden)
        self.activation: Activation = activation
        activation_module(self, activation)  # an unknown name is refused here, not when built
        self.normalization = require_normalization(self, normalization)

    def __call__(
        self, in_shape: Shape, out_shape: Shape, *, condition_shape: Shape | None = None
    ) -> nn.Module:
        """Build the module; see `Network`."""
        layers: list[nn.Module] = [nn.Flatten()]
        sizes = (math.prod(in_shape), *self.hidden)
        shifted = self.normalization != "batch"  # it takes off whatever is added before it
        for size, next_size in pairwise(sizes):
            layers.append(linear(size, next_size, bias=shifted))
            layers += normalization_layers(self.normalization, next_size)
            layers.append(activation_module(self, self.activation))
        layers += [linear(sizes[-1], math.prod(out_shape)), nn.Unflatten(1, out_shape)]
        joint = (*self.hidden, math.prod(out_shape))[:1]
        return assembled(layers, first=2, joint=joint, condition_shape=condition_shape)
