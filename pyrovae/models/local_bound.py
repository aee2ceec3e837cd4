"""The bound of each datum as a function of its q(z | x), for posteriors that refine themselves."""

from collections.abc import Callable
from functools import cache

from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor, nn

from pyrovae.networks import frozen_statistics
from pyrovae.objectives import analytic_kl

Made = TorchDistributionMixin


def local_bound(
    x: Tensor, *, prior: Callable[[], Made], decode: Callable[[Tensor], Made], decoder: nn.Module
) -> Callable[[Made], Tensor]:
    """Return a draw of the evidence lower bound of each datum as a function of its q(z | x).

    Arguments:
        x: the data, as they are scored.
        prior: makes p(z); called once, when the bound is first looked at.
        decode: makes p(x | z) at draws of z.
        decoder: the networks of `decode`; the looks do not move their running statistics.
    """
    once = cache(prior)  # one serves all looks

    def bound(q: Made) -> Tensor:
        z = q.rsample()
        p = once()
        with frozen_statistics(decoder):
            x_given_z = decode(z)
        divergence = analytic_kl(q, p)
        if divergence is None:
            divergence = q.log_prob(z) - p.log_prob(z)
        score: Tensor = x_given_z.log_prob(x) - divergence
        return score

    return bound
