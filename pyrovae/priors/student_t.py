"""The Student t prior."""

import pyro.distributions as dist
import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor

from pyrovae.context import Context
from pyrovae.numeric import is_finite
from pyrovae.priors.prior import Prior, dimension

LEAST, MOST = 0.5, 1000.0


class StudentT(Prior):
    r"""Independent Student t dimensions, whose tails are those of a power.

        p(z) = prod_i c (1 + z_i^2 / nu)^(-(nu + 1) / 2),
        c = Gamma((nu + 1) / 2) / (Gamma(nu / 2) sqrt(nu pi))

    It is a Cauchy at nu = 1 and close to a normal where nu is large. KL(q || p) has no closed form,
    so it is sampled.

    References:
        As a prior of a variational autoencoder: Mathieu et al., 2019, arXiv:1812.02833.

    Arguments:
        dim: the number of latent dimensions.
        df: the degrees of freedom nu, fixed.

    Raises:
        ValueError: the dimension is not a positive integer, or df is not from 0.5 to 1000. Below,
            float32 cannot hold the draws; above, it cannot hold the density's constant, and the
            distribution is all but a normal.

    Example:
        >>> StudentT(1, df=1)(Context()).log_prob(torch.zeros(1)).exp().item()  # 1 / pi
        0.3183099031448364
    """

    loc: Tensor

    def __init__(self, dim: int = 32, *, df: float = 5.0) -> None:
        super().__init__()
        self.dim = dim
        self.df = df
        self.event_shape = dimension(self, dim)
        if not is_finite(df) or not LEAST <= df <= MOST:
            raise ValueError(
                f"StudentT expects df to be a number from {LEAST:g} to {MOST:g}, where it is all "
                f"but StandardNormal; got {df!r}"
            )
        self.register_buffer("loc", torch.zeros(dim), persistent=False)

    def forward(self, context: Context) -> TorchDistributionMixin:
        """Return p(z); see `Prior`."""
        df = torch.full_like(self.loc, self.df)
        return dist.StudentT(df, self.loc, torch.ones_like(self.loc)).to_event(1)
