"""The Laplace posterior."""

import pyro.distributions as dist
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor

from pyrovae.context import Context
from pyrovae.heads import Head, positive
from pyrovae.posteriors.posterior import Posterior


class Laplace(Posterior):
    r"""Independent Laplace dimensions, `q(z | x) = prod_i exp(-|z_i - mu_i| / b_i) / (2 b_i)`.

    mu(x) and b(x) are of one dimension each. Its KL is known in closed form from priors whose
    dimensions are Laplace or normal.

    References:
        Kingma and Welling, 2014, arXiv:1312.6114, section 2.4, on such families of draws.

    Example:
        >>> import torch
        >>> posterior = Laplace()
        >>> posterior.event_shape = (3,)
        >>> posterior(torch.zeros(5, 6), Context()).batch_shape
        torch.Size([5])
    """

    head = Head(loc=1, scale=1)

    def forward(self, raw: Tensor, context: Context) -> TorchDistributionMixin:
        """Return q(z | x); see `Posterior`."""
        parameters = self.head.unpack(raw, self.event_shape)
        laplace = dist.Laplace(parameters["loc"], positive(parameters["scale"]))
        return laplace.to_event(len(self.event_shape))
