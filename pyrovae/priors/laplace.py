"""The Laplace prior."""

import pyro.distributions as dist
import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor

from pyrovae.context import Context
from pyrovae.heads import FLOOR
from pyrovae.numeric import is_finite
from pyrovae.priors.prior import Prior, dimension


class Laplace(Prior):
    r"""Independent Laplace dimensions about zero, `p(z) = prod_i exp(-|z_i| / b) / (2 b)`.

    Its axes are directions of their own, unlike those of a normal, and it expects more values near
    zero and more far from it. The scale is fixed: a decoder would undo a learned one.

    References:
        As a prior of a variational autoencoder: Barello, Charles and Pillow, 2018, Sparse-coding
        variational auto-encoders.

    Arguments:
        dim: the number of latent dimensions.
        scale: the scale b of each dimension, whose standard deviation is `sqrt(2) b`.

    Raises:
        ValueError: the dimension is not a positive integer, or the scale no number from 1e-4 on.

    Example:
        >>> Laplace(2)(Context()).log_prob(torch.zeros(2)).item()  # -2 log 2
        -1.3862943649291992
    """

    loc: Tensor

    def __init__(self, dim: int = 32, *, scale: float = 1.0) -> None:
        super().__init__()
        self.dim = dim
        self.scale = scale
        self.event_shape = dimension(self, dim)
        if not is_finite(scale) or scale < FLOOR:
            raise ValueError(
                f"Laplace expects scale to be a number of at least {FLOOR}; got {scale!r}"
            )
        self.register_buffer("loc", torch.zeros(dim), persistent=False)

    def forward(self, context: Context) -> TorchDistributionMixin:
        """Return p(z); see `Prior`."""
        scale = torch.full_like(self.loc, self.scale)  # exact in double precision as well
        return dist.Laplace(self.loc, scale).to_event(1)
