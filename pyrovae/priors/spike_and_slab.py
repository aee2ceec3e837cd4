"""The spike-and-slab prior."""

import math
from typing import Literal

import pyro.distributions as dist
import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor, nn

from pyrovae.context import Context
from pyrovae.distributions import SpikedNormal
from pyrovae.numeric import is_finite
from pyrovae.priors.prior import Prior, dimension


class SpikeAndSlab(Prior):
    r"""Dimensions that are zero or normal, `z_j = b_j u_j`, `b_j ~ Bernoulli(g)`, `u_j ~ N(0, 1)`.

    References:
        Mitchell and Beauchamp, 1988, Bayesian variable selection in linear regression, JASA 83;
        as a prior of a variational autoencoder: Tonolini, Jensen and Murray-Smith, 2020,
        Variational sparse coding, UAI.

    Arguments:
        dim: the number of latent dimensions.
        slab_share: the probability g that a dimension is not zero, between 0 and 1, or "learned"
            for one of each dimension, from 1/2 on.

    Raises:
        ValueError: the dimension is not a positive integer, or the share not between 0 and 1.

    Example:
        >>> prior = SpikeAndSlab(2, slab_share=0.25)
        >>> prior(Context()).log_prob(torch.zeros(2)).exp().item()  # 0.75^2
        0.5625
    """

    loc: Tensor
    scale: Tensor
    logits: Tensor

    def __init__(self, dim: int = 32, *, slab_share: float | Literal["learned"] = 0.5) -> None:
        super().__init__()
        self.dim = dim
        self.slab_share = slab_share
        self.event_shape = dimension(self, dim)
        self.register_buffer("loc", torch.zeros(dim), persistent=False)
        self.register_buffer("scale", torch.ones(dim), persistent=False)
        if slab_share == "learned":
            self.logits = nn.Parameter(torch.zeros(dim))
            return
        if not is_finite(slab_share) or not 0.0 < float(slab_share) < 1.0:
            raise ValueError(
                f"SpikeAndSlab expects slab_share to be a number between 0 and 1, or 'learned'; "
                f"got {slab_share!r}"
            )
        logit = math.log(slab_share) - math.log1p(-slab_share)
        self.register_buffer("logits", torch.full((dim,), logit), persistent=False)

    def forward(self, context: Context) -> TorchDistributionMixin:
        """Return p(z); see `Prior`."""
        return dist.Independent(SpikedNormal(self.logits, self.loc, self.scale), 1)
