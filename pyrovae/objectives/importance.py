"""Importance: what bounds made of importance weights share."""

import math

import torch
from torch import Tensor

from pyrovae.objectives.terms import Terms

_SMALL = 0.01  # of a power: below it the logarithm of the mean is taken around the mean


def power_mean(log_weight: Tensor, power: float, *, keepdim: bool = False) -> Tensor:
    r"""Return the log of the power mean of weights over particles, `1/s log (1/K sum_k w_k^s)`.

    It rises with the power s: s = 1 gives the log of the arithmetic mean, s = 0 the mean of the
    logs, in the limit, to which small powers come without loss of digits.

    Arguments:
        log_weight: `log w`, of shape `[*enumerated, particles, batch]`.
        power: s.
        keepdim: keep the dimension of the particles.

    Example:
        >>> log_weight = torch.tensor([[1.0], [3.0]]).log()
        >>> [round(power_mean(log_weight, s).exp().item(), 4) for s in (-1.0, 0.0, 1.0, 2.0)]
        [1.5, 1.7321, 2.0, 2.2361]
    """
    if power == 0.0:
        return log_weight.mean(-2, keepdim=keepdim)
    if abs(power) >= _SMALL:
        total = (power * log_weight).logsumexp(-2, keepdim=keepdim)
        return (total - math.log(log_weight.shape[-2])) / power
    level = (log_weight.amax if power > 0 else log_weight.amin)(-2, keepdim=True).detach()
    level = torch.where(level.isfinite(), level, 0.0)
    # every w^s - 1 lies in (-1, 0], so neither function can overflow
    mean = torch.expm1(power * (log_weight - level)).mean(-2, keepdim=True).log1p()
    found = level + mean / power
    return found if keepdim else found.squeeze(-2)


def from_same_draws(terms: Terms) -> dict[str, Tensor]:
    """Return the ELBO and its split at the draws of a record, to be logged beside a bound."""
    reconstruction = terms.expectation(terms.log_likelihood.detach()).mean()
    elbo = terms.expectation(terms.log_weight.detach()).mean()
    return {"elbo": elbo, "reconstruction": reconstruction, "kl": reconstruction - elbo}
