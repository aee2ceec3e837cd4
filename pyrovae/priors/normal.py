"""The normal prior with a learned mean and scale."""

import pyro.distributions as dist
import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import nn

from pyrovae.context import Context
from pyrovae.heads import positive
from pyrovae.priors.prior import Prior, dimension


class Normal(Prior):
    r"""A normal with learned means and scales, `p(z) = N(z; mu, diag sigma^2)`.

    It starts at (almost exactly) the standard normal. A decoder that begins with a linear map can
    shift and stretch z itself, so this prior reaches no better bound than the standard normal does.

    Arguments:
        dim: the number of latent dimensions.

    Raises:
        ValueError: the dimension is not a positive integer.

    Example:
        >>> sorted(name for name, _ in Normal(3).named_parameters())
        ['loc', 'raw_scale']
        >>> Normal(3)(Context()).sample((7,)).shape
        torch.Size([7, 3])
    """

    def __init__(self, dim: int = 32) -> None:
        super().__init__()
        self.dim = dim
        self.event_shape = dimension(self, dim)
        self.loc = nn.Parameter(torch.zeros(dim))
        self.raw_scale = nn.Parameter(torch.zeros(dim))

    def forward(self, context: Context) -> TorchDistributionMixin:
        """Return p(z); see `Prior`."""
        return dist.Normal(self.loc, positive(self.raw_scale)).to_event(1)
