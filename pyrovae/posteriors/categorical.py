"""The posterior over one-hot codes, enumerated; and the KL between codes."""

from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor

from pyrovae.context import Context
from pyrovae.distributions import OneHot, OneHotCodes
from pyrovae.heads import Head
from pyrovae.objectives.kl import kl_rule
from pyrovae.posteriors.posterior import Posterior


class Categorical(Posterior):
    """Independent one-hot codes, `q(z | x) = prod_i Categorical(z_i; pi_i(x))`, all enumerated.

    Every value of z is visited and weighed by its probability, so the bound and its gradient are
    exact. Their number, `classes ** codes`, is at most 4096.

    References:
        Kingma et al., 2014, arXiv:1406.5298, who sum over classes so.

    Example:
        >>> import torch
        >>> posterior = Categorical()
        >>> posterior.event_shape = (3, 10)
        >>> q = posterior(torch.zeros(5, 30), Context())
        >>> q.batch_shape, q.enumerate_support(expand=False).shape
        (torch.Size([5]), torch.Size([1000, 1, 3, 10]))
    """

    head = Head(logits=lambda event: event)
    enumerated = True

    def forward(self, raw: Tensor, context: Context) -> TorchDistributionMixin:
        """Return q(z | x); see `Posterior`."""
        logits = self.head.unpack(raw, self.event_shape)["logits"]
        codes: TorchDistributionMixin = OneHot(logits).to_event(len(self.event_shape) - 1)
        return codes


@kl_rule(OneHot, OneHot)
def _one_hot(q: OneHot, p: OneHot) -> Tensor:
    """Sum `q_k (log q_k - log p_k)`; no logarithm is infinite."""
    return (q.probs * (q.logits - p.logits)).sum(-1)


@kl_rule(OneHotCodes, OneHotCodes)
def _codes(q: OneHotCodes, p: OneHotCodes) -> Tensor:
    each = (q.base_dist.probs * (q.base_dist.logits - p.base_dist.logits)).sum(-1)
    return each.sum(tuple(range(-q.reinterpreted_batch_ndims, 0)))
