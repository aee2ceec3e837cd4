"""The multilayer perceptron with gates."""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

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

    def __call__(self, in_shape: Shape, out_shape: Shape) -> nn.Module:
        """Build the module; see `Network`."""
        sizes = (math.prod(in_shape), *self.hidden)
        gated = [_GatedLinear(size, next_size) for size, next_size in pairwise(sizes)]
        last = linear(sizes[-1], math.prod(out_shape))
        return nn.Sequential(nn.Flatten(), *gated, last, nn.Unflatten(1, out_shape))


class _GatedLinear(nn.Module):
    """Both linear maps as one product, half of it the gate."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.both = linear(in_features, 2 * out_features)

    def forward(self, hidden: Tensor) -> Tensor:
        value, gate = self.both(hidden).chunk(2, dim=-1)
        return value * torch.sigmoid(gate)
