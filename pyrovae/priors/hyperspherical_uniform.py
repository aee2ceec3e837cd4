"""The uniform prior on a sphere."""

import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor

from pyrovae import distributions
from pyrovae.context import Context
from pyrovae.priors.prior import Prior, dimension


class HypersphericalUniform(Prior):
    r"""The uniform prior on the unit sphere of R^dim, `log p(z) = -log area`.

    References:
        As a prior of a variational autoencoder: Davidson et al., 2018, arXiv:1804.00891.

    Arguments:
        dim: the number of elements of z, from 2 on. The sphere has `dim - 1` dimensions.

    Raises:
        ValueError: the number of elements is no integer from 2 on.

    Example:
        >>> HypersphericalUniform(3)(Context()).log_prob(torch.tensor([0.0, 0.6, 0.8])).item()
        -2.5310242176055908
    """

    like: Tensor

    def __init__(self, dim: int = 32) -> None:
        super().__init__()
        self.dim = dim
        self.event_shape = dimension(self, dim)
        distributions.HypersphericalUniform(dim)  # refuses one dimension
        self.register_buffer("like", torch.zeros(()), persistent=False)  # of the type of draws

    def forward(self, context: Context) -> TorchDistributionMixin:
        """Return p(z); see `Prior`."""
        return distributions.HypersphericalUniform(
            self.dim, dtype=self.like.dtype, device=self.like.device
        )
