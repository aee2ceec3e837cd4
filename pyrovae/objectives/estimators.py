"""Gradient estimators: what they ask of the draws, and the terms that make a surrogate of a bound.

A surrogate has the value of the bound and another gradient. Its terms here are of value zero.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from pyrovae.objectives.draws import Draws, unweighted, weigh
from pyrovae.objectives.terms import PARTICLE_DIM, Site, Terms

# For each estimator how the guide's draws are treated when they are traced.
DRAWS: dict[str, Draws] = {
    "reparameterised": "live",
    "stl": "path",
    "dreg": "weighted",
    "score": "detached",
    "mixed": "live",
    "vimco": "detached",
    "wake": "detached",
}


def drawn_sites(terms: Terms) -> list[Site]:
    """Return the latent sites of which the record has draws, and not every value."""
    return [site for site in terms.latent.values() if not site.is_enumerated]


def score_term(terms: Terms, signal: Tensor, *, every: bool = True) -> Tensor:
    """Return `signal * (log q - its value)`, of value zero and with the gradient of a score.

    Arguments:
        terms: a record of detached draws.
        signal: what the score of each draw is weighed by, `[*enumerated, particles, batch]`,
            without gradient.
        every: take the score of all drawn sites; else only of those whose draws have no gradient
            of their own, in a record of live draws.

    Example:
        >>> import pyro, pyro.distributions as dist, torch
        >>> from pyrovae.objectives import trace_terms
        >>> loc = torch.zeros(1, requires_grad=True)
        >>> def model():
        ...     with pyro.plate("data", 1):
        ...         pyro.sample("z", dist.Normal(0.0, 1.0))
        >>> def guide():
        ...     with pyro.plate("data", 1):
        ...         pyro.sample("z", dist.Normal(loc, 1.0))
        >>> terms = trace_terms(model, guide, draws="detached")
        >>> term = score_term(terms, torch.full((1, 1), 2.0))
        >>> term.item(), bool(torch.autograd.grad(term, loc)[0] == 2 * terms.latent["z"].value)
        (0.0, True)
    """
    sites = drawn_sites(terms)
    if not every:
        sites = [site for site in sites if not getattr(site.guide, "has_rsample", False)]
    parts = [unweighted(site) for site in sites]
    if not parts:
        return torch.zeros_like(signal)
    log_q = sum(parts[1:], parts[0])
    return signal * (log_q - log_q.detach())


def others_mean(values: Tensor, *, dim: int) -> Tensor:
    """Return for each value the mean of the others along a dimension, zero where there is none.

    As a baseline it leaves an estimator unbiased: it knows nothing of the draw that it is for.

    Example:
        >>> others_mean(torch.tensor([1.0, 2.0, 6.0]), dim=0)
        tensor([4.0000, 3.5000, 1.5000])
    """
    count = values.shape[dim]
    if count == 1:
        return torch.zeros_like(values)
    mean = values.mean(dim, keepdim=True)
    return mean - (values - mean) / (count - 1)


def bounds_without(log_weight: Tensor) -> Tensor:
    """Return for each particle the bound in which the others' geometric mean takes its place.

    It is `log 1/K (sum_j!=k w_j + (prod_j!=k w_j)^(1/(K - 1)))`, at a cost linear in K. The sum
    over the others is put together from those before and those after, so that nothing cancels.

    Arguments:
        log_weight: logarithms of at least two weights w, `[*enumerated, particles, batch]`.

    Example:
        >>> weight = torch.tensor([[1.0], [2.0], [8.0]])
        >>> bounds_without(weight.log()).exp().squeeze() * 3
        tensor([14.0000, 11.8284,  4.4142])
    """
    count = log_weight.shape[PARTICLE_DIM]
    log_sum = torch.logaddexp(*_around(log_weight, torch.logcumsumexp, -math.inf))
    before, after = _around(log_weight, torch.cumsum, 0.0)
    log_mean = (before + after) / (count - 1)
    return torch.logaddexp(log_sum, log_mean) - math.log(count)


def weigh_draws(terms: Terms, weight: Tensor) -> None:
    """Multiply the gradient that flows into the draws of a record by a weight of each.

    It is done once, however often the record is measured.

    Arguments:
        terms: a record of "weighted" draws.
        weight: the factors, `[particles, batch]`, without gradient.
    """
    if weight.shape[PARTICLE_DIM] == 1:  # a weight of one, and draws without the dimension
        return
    for site in drawn_sites(terms):
        depth = 0 if site.guide is None else len(site.guide.event_shape)
        weigh(site.value, weight.reshape(weight.shape + (1,) * depth))


def _around(values: Tensor, scan: Callable[..., Tensor], nothing: float) -> tuple[Tensor, Tensor]:
    """Return the cumulated values of the particles before each, and of those after it."""
    count = values.shape[PARTICLE_DIM]
    first = torch.full_like(values.narrow(PARTICLE_DIM, 0, 1), nothing)
    found = []
    for ordered in (values, values.flip(PARTICLE_DIM)):
        scanned = scan(ordered, PARTICLE_DIM).narrow(PARTICLE_DIM, 0, count - 1)
        found.append(torch.cat([first, scanned], PARTICLE_DIM))
    return found[0], found[1].flip(PARTICLE_DIM)
