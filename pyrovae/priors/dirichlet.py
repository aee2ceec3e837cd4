"""The Dirichlet prior."""

from typing import Any, Literal

import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor, nn

from pyrovae.context import Context
from pyrovae.distributions import EdgeDirichlet
from pyrovae.heads import FLOOR, positive
from pyrovae.numeric import is_finite
from pyrovae.priors.prior import Prior, dimension

Concentration = float | Literal["learned"]


class Dirichlet(Prior):
    r"""The Dirichlet prior over points of a simplex, `p(z) = Dir(z; a)`.

    Its KL from a logistic-normal posterior is sampled: it has no closed form.

    References:
        Blei, Ng and Jordan, 2003, Latent Dirichlet allocation, JMLR 3.

    Arguments:
        dim: the number of coordinates of z, K, at least 2.
        concentration: a, one number for all coordinates, or "learned" for one of each, from 1 on.

    Raises:
        ValueError: the dimension is not an integer from 2 on, or the concentration no number of at
            least 1e-4.

    Example:
        >>> Dirichlet(3)(Context()).log_prob(torch.tensor([0.2, 0.3, 0.5])).item()  # log 2
        0.6931471824645996
    """

    alpha: Tensor

    def __init__(self, dim: int = 32, *, concentration: Concentration = 1.0) -> None:
        super().__init__()
        self.dim = dim
        self.concentration = concentration
        self.event_shape = dimension(self, dim)
        start = concentrations(self)
        if concentration == "learned":
            self.raw_concentration = nn.Parameter(start)
        else:
            self.register_buffer("alpha", start, persistent=False)

    def forward(self, context: Context) -> TorchDistributionMixin:
        """Return p(z); see `Prior`."""
        if self.concentration != "learned":
            return EdgeDirichlet(self.alpha)
        return EdgeDirichlet(positive(self.raw_concentration))


def concentrations(prior: Any) -> Tensor:
    """Return the concentrations that a prior over a simplex was given, the raw ones if learned."""
    if prior.dim < 2:
        raise ValueError(
            f"{type(prior).__name__} expects dim of at least 2, as a simplex of one coordinate is "
            f"a single point; got {prior.dim}"
        )
    given = prior.concentration
    if given == "learned":
        return torch.zeros(prior.dim)
    if not is_finite(given) or given < FLOOR:
        raise ValueError(
            f"{type(prior).__name__} expects concentration to be a number of at least {FLOOR}, or "
            f"'learned'; got {given!r}"
        )
    return torch.full((prior.dim,), float(given))
