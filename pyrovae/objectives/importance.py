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


def importance_weight(terms: Terms) -> tuple[Tensor, float]:
    """Return `log p(x, z) - log q(z | x)` without the weight of the sites, and that weight.

    A bound with a logarithm over particles is weighed outside of it: programs under
    `poutine.scale(scale=2)`, or in a plate of which a half is given, have twice the bound, and not
    the bound of squared weights.

    Arguments:
        terms: the record of a run.

    Raises:
        ValueError: the sites have different weights, or tensors of weights; the message names two.

    Example:
        >>> import pyro, pyro.distributions as dist, torch
        >>> from pyrovae.objectives import trace_terms
        >>> x = torch.zeros(3)
        >>> def guide():
        ...     with pyro.plate("data", 6, subsample_size=3):
        ...         pyro.sample("z", dist.Normal(0.0, 1.0))
        >>> def model():
        ...     with pyro.plate("data", 6, subsample_size=3):
        ...         pyro.sample("z", dist.Normal(0.0, 1.0))
        ...         pyro.sample("x", dist.Uniform(-1.0, 1.0), obs=x)
        >>> log_weight, scale = importance_weight(trace_terms(model, guide))
        >>> [[round(w, 4) for w in row] for row in log_weight.tolist()], scale
        ([[-0.6931, -0.6931, -0.6931]], 2.0)
    """
    scales = {}
    for site in (*terms.latent.values(), *terms.observed.values()):
        for program, message in (("model", site.modelled), ("guide", site.guided)):
            if message is not None:
                scales[f"site '{site.name}' of the {program}"] = message["scale"]
    (first, scale), *others = scales.items()
    for name, other in others:
        if isinstance(other, Tensor) or isinstance(scale, Tensor) or other != scale:
            raise ValueError(
                f"a bound with a logarithm over particles is of weights p / q, and can be weighed "
                f"only as a whole: poutine.scale gives {first} the weight {_said(scale)} and "
                f"{name} {_said(other)}; give all sites one number, or use ELBO(beta=...)"
            )
    return (terms.log_weight if scale == 1 else terms.log_weight / scale), float(scale)


def from_same_draws(terms: Terms) -> dict[str, Tensor]:
    """Return the ELBO and its split at the draws of a record, to be logged beside a bound."""
    reconstruction = terms.expectation(terms.log_likelihood.detach()).mean()
    elbo = terms.expectation(terms.log_weight.detach()).mean()
    return {"elbo": elbo, "reconstruction": reconstruction, "kl": reconstruction - elbo}


def _said(scale: object) -> str:
    return "of a tensor" if isinstance(scale, Tensor) else f"{scale:g}"
