"""The isotropic normal posterior."""

import pyro.distributions as dist
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor

from pyrovae.context import Context
from pyrovae.heads import Head, positive
from pyrovae.posteriors.posterior import Posterior


class IsotropicNormal(Posterior):
    r"""A normal with one scale for all dimensions, `q(z | x) = N(z; mu(x), sigma(x)^2 I)`.

    References:
        Kingma and Welling, 2014, arXiv:1312.6114.

    Example:
        >>> import torch
        >>> posterior = IsotropicNormal()
        >>> posterior.head.out_shape((3,))
        (4,)
        >>> posterior.event_shape = (3,)
        >>> posterior(torch.zeros(5, 4), Context()).batch_shape
        torch.Size([5])
    """

    head = Head(loc=1, scale=lambda event: (1,) * len(event))

    def forward(self, raw: Tensor, context: Context) -> TorchDistributionMixin:
        """Return q(z | x); see `Posterior`."""
        parameters = self.head.unpack(raw, self.event_shape)
        normal = dist.Normal(parameters["loc"], positive(parameters["scale"]))
        return normal.to_event(len(self.event_shape))
