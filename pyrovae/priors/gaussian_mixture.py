"""The mixture of normals prior, with learned weights, means and scales."""

import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import nn

from pyrovae.context import Context
from pyrovae.distributions import DiagonalNormalMixture
from pyrovae.heads import positive
from pyrovae.priors.prior import Prior, count, dimension


class GaussianMixture(Prior):
    r"""A learned mixture of normals, `p(z) = sum_k pi_k N(z; mu_k, diag sigma_k^2)`.

    References:
        As a prior of a variational autoencoder: Dilokthanakul et al., 2016, arXiv:1611.02648.

    Arguments:
        dim: the number of latent dimensions.
        components: the number of normals, K.

    Raises:
        ValueError: a number is not a positive integer.

    Example:
        >>> GaussianMixture(2, components=5)(Context()).sample((7,)).shape
        torch.Size([7, 2])
    """

    def __init__(self, dim: int = 32, *, components: int = 10) -> None:
        super().__init__()
        self.dim = dim
        self.components = count(self, "components", components)
        self.event_shape = dimension(self, dim)
        self.logits = nn.Parameter(torch.zeros(components))
        self.loc = nn.Parameter(torch.randn(components, dim))
        self.raw_scale = nn.Parameter(torch.zeros(components, dim))

    def forward(self, context: Context) -> TorchDistributionMixin:
        """Return p(z); see `Prior`."""
        return DiagonalNormalMixture(self.logits, self.loc, positive(self.raw_scale))
