"""Analytic Kullback-Leibler divergences, looked up without touching torch's registry.

torch finds a divergence by the classes of the two distributions in one registry for the whole
process. A rule that we registered there for a pair of foreign classes would change other people's
programs, so such rules live here, in a dispatcher of our own that falls through to torch's.
"""

from collections.abc import Callable
from typing import Any

import torch
from pyro.distributions import Delta
from torch import Tensor
from torch.distributions import Distribution, kl_divergence

Rule = Callable[..., Tensor | None]
_RULES: list[tuple[type[Distribution], type[Distribution], Rule]] = []


def kl_rule(q_class: type[Distribution], p_class: type[Distribution]) -> Callable[[Rule], Rule]:
    """Declare the decorated function as KL(q || p) for a pair of classes, inside pyrovae only.

    The function takes q and p and returns the divergence, of the batch shape of the two, or None
    where it does not apply. Rules declared later are asked first.

    Arguments:
        q_class: the class of the first distribution.
        p_class: the class of the second.

    Example:
        >>> import pyro.distributions as dist
        >>> @kl_rule(dist.Uniform, dist.Exponential)
        ... def uniform_exponential(q, p):
        ...     return p.rate * q.mean - p.rate.log() - (q.high - q.low).log()
        >>> analytic_kl(dist.Uniform(0.0, 1.0), dist.Exponential(torch.tensor(2.0))).item()
        0.3068528175354004
    """

    def declare(rule: Rule) -> Rule:
        _RULES.insert(0, (q_class, p_class, rule))
        return rule

    return declare


def is_point(distribution: Any) -> bool:
    """Return whether a distribution puts all mass on one value, and so has no density.

    Example:
        >>> import pyro.distributions as dist
        >>> is_point(dist.Delta(torch.zeros(3)).to_event(1)), is_point(dist.Normal(0.0, 1.0))
        (True, False)
    """
    while hasattr(distribution, "base_dist"):
        distribution = distribution.base_dist
    return isinstance(distribution, Delta)


def analytic_kl(q: Distribution, p: Distribution) -> Tensor | None:
    """Return KL(q || p) in nats in closed form, of the batch shape, or None where none is known.

    Arguments:
        q: the first distribution, usually the posterior.
        p: the second, usually the prior.

    Example:
        >>> import pyro.distributions as dist
        >>> analytic_kl(dist.Normal(1.0, 1.0), dist.Normal(0.0, 1.0)).item()
        0.5
        >>> analytic_kl(dist.Normal(0.0, 1.0), dist.StudentT(3.0)) is None
        True
    """
    if is_point(q):
        return None
    for q_class, p_class, rule in _RULES:
        if isinstance(q, q_class) and isinstance(p, p_class):
            divergence = rule(q, p)
            if divergence is not None:
                return divergence
    try:
        return kl_divergence(q, p)
    except (NotImplementedError, IndexError):  # torch's own rules for bounded supports do not
        return None  # broadcast their masks, and fail so


def factors(q: Distribution, p: Distribution) -> tuple[Distribution, Distribution] | None:
    """Return the independent factors of two distributions over one event, or None.

    Only where both are products over the same dimensions of the event does their divergence split:
    into one term per dimension, or, where a factor is itself over a vector, such as a one-hot code,
    into one term per vector.
    """
    depths = set()
    for distribution in (q, p):
        if not isinstance(distribution, torch.distributions.Independent):
            return None
        depths.add(distribution.reinterpreted_batch_ndims)
    if len(depths) > 1 or depths == {0} or len(q.event_shape) != len(p.event_shape):
        return None
    return q.base_dist, p.base_dist  # type: ignore[attr-defined]


@kl_rule(torch.distributions.MultivariateNormal, torch.distributions.Independent)
def _multivariate_and_factorised_normal(
    q: torch.distributions.MultivariateNormal, p: torch.distributions.Independent[Any]
) -> Tensor | None:
    """Sum `log s_i - log L_ii + (|L_i|^2 + (m_i - mu_i)^2) / (2 s_i^2) - 1/2` over dimensions i.

    It is the KL of N(m, L L^T) from N(mu, diag s^2), L lower triangular with rows L_i.
    """
    base = p.base_dist
    if not isinstance(base, torch.distributions.Normal) or p.reinterpreted_batch_ndims != 1:
        return None
    factor = q.scale_tril
    square = factor.square().sum(-1) + (q.loc - base.loc).square()
    log_ratio = base.scale.log() - factor.diagonal(dim1=-2, dim2=-1).log()
    return (log_ratio + 0.5 * square / base.scale.square() - 0.5).sum(-1)
