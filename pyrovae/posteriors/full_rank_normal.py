"""The full-rank normal posterior."""

import pyro.distributions as dist
import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor

from pyrovae.context import Context
from pyrovae.heads import Head, Shape, positive
from pyrovae.posteriors.posterior import Posterior

BOUND = 100.0


class FullRankNormal(Posterior):
    r"""A normal with any covariance, `q(z | x) = N(z; mu(x), L(x) L(x)^T)`, L lower triangular.

    L is `diag(sigma) (I + B)`: sigma_i is the scale of z_i given the dimensions before it, and B,
    strictly lower triangular and bounded by +-100, how it leans on them, so that float32 can solve
    with L. A correlation of 0.99995 is still within the bound.

    References:
        Kingma and Welling, 2019, arXiv:1906.02691, section 2.5.

    Example:
        >>> posterior = FullRankNormal()
        >>> posterior.event_shape = (3,)
        >>> posterior(torch.zeros(5, 9), Context()).covariance_matrix.shape
        torch.Size([5, 3, 3])
    """

    head = Head(loc=1, scale=1, below=lambda event: (event[0] * (event[0] - 1) // 2,))

    def bind(self, data_shape: Shape) -> None:
        """Refuse an event that is no vector."""
        if len(self.event_shape) != 1:
            raise ValueError(
                f"FullRankNormal expects a vector z; the prior's event shape is {self.event_shape}"
            )

    def forward(self, raw: Tensor, context: Context) -> TorchDistributionMixin:
        """Return q(z | x); see `Posterior`."""
        parameters = self.head.unpack(raw, self.event_shape)
        (size,) = self.event_shape
        rows, columns = torch.tril_indices(size, size, -1, device=raw.device)
        lean = torch.eye(size, dtype=raw.dtype, device=raw.device)
        lean = lean.repeat(*raw.shape[:-1], 1, 1)
        lean[..., rows, columns] = BOUND * torch.tanh(parameters["below"] / BOUND)
        factor = positive(parameters["scale"]).unsqueeze(-1) * lean
        return dist.MultivariateNormal(parameters["loc"], scale_tril=factor)
