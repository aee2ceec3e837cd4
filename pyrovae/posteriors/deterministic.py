"""The deterministic posterior: a point."""

import pyro.distributions as dist
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor

from pyrovae.context import Context
from pyrovae.heads import Head
from pyrovae.posteriors.posterior import Posterior


class Deterministic(Posterior):
    r"""All mass on one point, `z = f(x)`: the encoder of an autoencoder.

    A point has no density, and its KL from a prior is infinite. So only objectives that read draws
    alone take it, such as `Wasserstein`, or `ELBO(beta=0)`, which is the reconstruction; the ELBO
    with another beta, IWAE and `evaluate` refuse it. By the reconstruction alone the prior has no
    part in training, and draws from it need not look like data.

    References:
        Hinton and Salakhutdinov, 2006, Reducing the dimensionality of data with neural networks.

    Example:
        >>> import torch
        >>> posterior = Deterministic()
        >>> posterior.event_shape = (3,)
        >>> posterior(torch.ones(5, 3), Context()).sample()[0]
        tensor([1., 1., 1.])
    """

    head = Head(loc=1)

    def forward(self, raw: Tensor, context: Context) -> TorchDistributionMixin:
        """Return the point; see `Posterior`."""
        loc = self.head.unpack(raw, self.event_shape)["loc"]
        return dist.Delta(loc, event_dim=len(self.event_shape))
