"""The spike-and-slab posterior."""

from typing import Any

import pyro.distributions as dist
import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor
from torch.nn.functional import logsigmoid

from pyrovae.context import Context
from pyrovae.distributions import SpikedNormal
from pyrovae.heads import Head, positive
from pyrovae.objectives.kl import kl_rule
from pyrovae.posteriors.posterior import Posterior


class SpikeAndSlab(Posterior):
    r"""Dimensions that are zero or normal, `q(z_j | x) = (1 - g_j) delta_0 + g_j N(m_j, s_j^2)`.

    Its KL from a spike-and-slab prior is exact and a sum over the dimensions. Draws have hard
    gates, whose gradient is biased unless the decoder is linear; `SpikedNormal` says how.

    References:
        Tonolini, Jensen and Murray-Smith, 2020, Variational sparse coding, UAI.

    Example:
        >>> posterior = SpikeAndSlab()
        >>> posterior.event_shape = (3,)
        >>> posterior(torch.zeros(5, 9), Context()).log_prob(torch.zeros(5, 3))[0].exp().item()
        0.125
    """

    head = Head(loc=1, scale=1, gate=1)

    def forward(self, raw: Tensor, context: Context) -> TorchDistributionMixin:
        """Return q(z | x); see `Posterior`."""
        parameters = self.head.unpack(raw, self.event_shape)
        spiked = SpikedNormal(parameters["gate"], parameters["loc"], positive(parameters["scale"]))
        return dist.Independent(spiked, len(self.event_shape))


def _kl_of_dimensions(q: SpikedNormal, p: SpikedNormal) -> Tensor:
    """Return the gates' KL plus, where q's gate is open, the slabs'."""
    opened, closed = logsigmoid(q.logits), logsigmoid(-q.logits)
    ratio = (q.scale / p.scale).square()
    gap = ((q.loc - p.loc) / p.scale).square()
    slabs = 0.5 * (ratio + gap - 1.0) + p.scale.log() - q.scale.log()
    from_open = opened - logsigmoid(p.logits) + slabs
    return opened.exp() * from_open + closed.exp() * (closed - logsigmoid(-p.logits))


kl_rule(SpikedNormal, SpikedNormal)(_kl_of_dimensions)


@kl_rule(torch.distributions.Independent, torch.distributions.Independent)
def _independent_spiked_normals(
    q: "torch.distributions.Independent[Any]", p: "torch.distributions.Independent[Any]"
) -> Tensor | None:
    """Sum the KL over the event; torch would look for the rule of one dimension in its registry."""
    bases = q.base_dist, p.base_dist
    depth = q.reinterpreted_batch_ndims
    if depth != p.reinterpreted_batch_ndims or not all(isinstance(b, SpikedNormal) for b in bases):
        return None
    divergence: Tensor = _kl_of_dimensions(*bases)
    return divergence.sum(tuple(range(-depth, 0)))
