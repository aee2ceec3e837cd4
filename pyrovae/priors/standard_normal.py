"""The standard normal prior."""

import pyro.distributions as dist
import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor

from pyrovae.context import Context
from pyrovae.priors.prior import Prior, dimension


class StandardNormal(Prior):
    """The standard normal prior, `p(z) = N(z; 0, I)`.

    References:
        Kingma and Welling, 2014, arXiv:1312.6114.

    Arguments:
        dim: the number of latent dimensions.

    Raises:
        ValueError: the dimension is not a positive integer.

    Example:
        >>> StandardNormal(3)(Context()).log_prob(torch.zeros(3)).item()
        -2.7568154335021973
    """

    loc: Tensor
    scale: Tensor

    def __init__(self, dim: int = 32) -> None:
        super().__init__()
        self.dim = dim
        self.event_shape = dimension(self, dim)
        self.register_buffer("loc", torch.zeros(dim), persistent=False)
        self.register_buffer("scale", torch.ones(dim), persistent=False)

    def forward(self, context: Context) -> TorchDistributionMixin:
        """Return p(z); see `Prior`."""
        return dist.Normal(self.loc, self.scale).to_event(1)
