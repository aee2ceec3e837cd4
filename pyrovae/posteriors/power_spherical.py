"""The power spherical posterior, on a sphere."""

import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor

from pyrovae import distributions
from pyrovae.context import Context
from pyrovae.heads import Shape
from pyrovae.objectives import kl_rule
from pyrovae.posteriors.posterior import Posterior
from pyrovae.posteriors.spherical import (
    direction_and_concentration,
    require_vector,
    spherical_head,
)


class PowerSpherical(Posterior):
    r"""A power spherical posterior, `q(z | x) ~ (1 + m(x) . z)^k(x)` on a unit sphere.

    The mean direction m is `(r + 0.001 e_1) / |r + 0.001 e_1|` for raw numbers r, and k is
    positive. It is like the von Mises-Fisher distribution, with heavier tails, and cheaper.

    References:
        De Cao and Aziz, 2020, arXiv:2006.04437.

    Example:
        >>> posterior = PowerSpherical()
        >>> posterior.event_shape = (3,)
        >>> posterior(torch.zeros(5, 4), Context()).sample().shape
        torch.Size([5, 3])
    """

    head = spherical_head()

    def bind(self, data_shape: Shape) -> None:
        """Refuse an event that is no point of a sphere."""
        require_vector("PowerSpherical", self.event_shape)

    def forward(self, raw: Tensor, context: Context) -> TorchDistributionMixin:
        """Return q(z | x); see `Posterior`."""
        return distributions.PowerSpherical(
            *direction_and_concentration(self.head, raw, self.event_shape)
        )


@kl_rule(distributions.PowerSpherical, distributions.HypersphericalUniform)
def _from_uniform(
    q: distributions.PowerSpherical, p: distributions.HypersphericalUniform
) -> Tensor:
    return q.kl_from_uniform().expand(torch.broadcast_shapes(q.batch_shape, p.batch_shape))
