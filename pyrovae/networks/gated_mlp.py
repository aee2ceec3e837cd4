"""The multilayer perceptron with gates."""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from pyrovae.networks.conditioned import assembled
from pyrovae.networks.network import Network, Shape, linear, widths


class GatedMLP(Network):
    """A multilayer perceptron of gated layers, `(W h + b) * sigmoid(V h + c)`.

    References:
        Dauphin et al., 2017, arXiv:1612.08083; in variational autoencoders: Tomczak and Welling,
        2018, arXiv:1705.07120.

    Arguments:
        hidden: the widths of the hidden layers; none at all is one linear map.

    Raises:
        ValueError: a width is not positive.

    Example:
        >>> net = GatedMLP((16, 16))((4,), (2, 3))
        >>> net(torch.zeros(5, 4)).shape
        torch.Size([5, 2, 3])
    """

    def __init__(self, hidden: tuple[int, ...] = (300, 300)) -> None:
        self.hidden = widths(self, "hidden", hidden)

    def __call__(
        self, in_shape: Shape, out_shape: Shape, *, condition_shape: Shape | None = None
    ) -> nn.Module:
        """Build the module; see `Network`."""
        sizes = (math.prod(in_shape), *self.hidden)
        layers: list[nn.Module] = [nn.Flatten()]
        layers += [_GatedLinear(size, next_size) for size, next_size in pairwise(sizes)]
        layers += [linear(sizes[-1], math.prod(out_shape)), nn.Unflatten(1, out_shape)]
        if condition_shape is None or not self.hidden:
            joint = (math.prod(out_shape),)
            return assembled(layers, first=2, joint=joint, condition_shape=condition_shape)
        gated = layers[1]
        layers[1:2] = [*gated.children(), _Gate()]  # the condition joins before the gate
        joint = (2 * self.hidden[0],)
        return assembled(layers, first=2, joint=joint, condition_shape=condition_shape)


class _GatedLinear(nn.Module):
    """Both linear maps as one product, half of it the gate."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.both = linear(in_features, 2 * out_features)

    def forward(self, hidden: Tensor) -> Tensor:
        return _gated(self.both(hidden))


class _Gate(nn.Module):
    """The gate alone."""

    def forward(self, both: Tensor) -> Tensor:
        return _gated(both)


def _gated(both: Tensor) -> Tensor:
    value, gate = both.chunk(2, dim=-1)
    return value * torch.sigmoid(gate)
