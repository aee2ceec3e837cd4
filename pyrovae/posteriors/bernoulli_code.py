"""The posterior over binary codes, enumerated; and the KL between bits."""

import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor
from torch.nn.functional import softplus

from pyrovae.context import Context
from pyrovae.distributions import BinaryCodes, LogitsBernoulli
from pyrovae.heads import Head
from pyrovae.objectives.kl import kl_rule
from pyrovae.posteriors.posterior import Posterior


class BernoulliCode(Posterior):
    """Independent bits, `q(z | x) = prod_j Bernoulli(z_j; pi_j(x))`, all values enumerated.

    Every value of z is visited and weighed by its probability, so the bound and its gradient are
    exact. There are `2 ** dim` of them, so a z has at most 12 bits; `RelaxedBernoulli` takes more.

    References:
        Kingma et al., 2014, arXiv:1406.5298, who sum over classes so.

    Example:
        >>> posterior = BernoulliCode()
        >>> posterior.event_shape = (4,)
        >>> q = posterior(torch.zeros(5, 4), Context())
        >>> q.batch_shape, q.enumerate_support(expand=False).shape
        (torch.Size([5]), torch.Size([16, 1, 4]))
    """

    head = Head(logits=1)
    enumerated = True

    def forward(self, raw: Tensor, context: Context) -> TorchDistributionMixin:
        """Return q(z | x); see `Posterior`."""
        logits = self.head.unpack(raw, self.event_shape)["logits"]
        return BinaryCodes.of(logits, event_dim=len(self.event_shape))


def _divergence(q: LogitsBernoulli, p: LogitsBernoulli) -> Tensor:
    """Weigh `log q - log p` of one and of zero; torch's rule rounds a probability to zero."""
    ones = torch.sigmoid(q.logits) * (softplus(-p.logits) - softplus(-q.logits))
    return ones + torch.sigmoid(-q.logits) * (softplus(p.logits) - softplus(q.logits))


kl_rule(LogitsBernoulli, LogitsBernoulli)(_divergence)


@kl_rule(BinaryCodes, BinaryCodes)
def _codes(q: BinaryCodes, p: BinaryCodes) -> Tensor:
    each = _divergence(q.base_dist, p.base_dist)
    return each.sum(tuple(range(-q.reinterpreted_batch_ndims, 0)))
