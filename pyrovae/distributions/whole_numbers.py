"""Whole numbers: quantiles of counts, draws of large ones, and the distribution function of some.

All of it is for looking at a distribution: nothing here has a gradient or is recorded.
"""

from collections.abc import Callable

import torch
from torch import Tensor

_EXACT = 2.0**24  # float32 holds every whole number up to here, and none of the odd ones beyond
_LARGEST = 2.0**53  # likewise of float64
_TERMS = 2000  # of the continued fraction: enough for parameters up to 1e6
_TINY = 1e-300
_CLOSE = 1e-15


@torch.no_grad()
def least_count(cdf: Callable[[Tensor], Tensor], probability: Tensor, start: Tensor) -> Tensor:
    """Return the smallest count whose cumulative probability reaches the given one, in float64.

    Arguments:
        cdf: the distribution function P(X <= k), of counts k in float64.
        probability: from 0 to 1, in float64; one gives infinity, what is no probability nan.
        start: counts near the answer, which are doubled until they reach it.

    Example:
        >>> half = torch.tensor([0.5, 0.8], dtype=torch.float64)
        >>> least_count(lambda k: 1.0 - 0.5 ** (k + 1.0), half, torch.ones(2)).tolist()
        [0.0, 2.0]
    """
    probability, high = torch.broadcast_tensors(probability, start.double())
    high = high.ceil().clamp(min=1.0)
    inside = (probability >= 0.0) & (probability < 1.0)
    sought = torch.where(inside, probability, 0.0)
    short = cdf(high) < sought
    while bool(short.any()):
        high = torch.where(short, 2.0 * high, high)
        short = (cdf(high) < sought) & (high < _LARGEST)
    low = -torch.ones_like(high)  # below the answer, as `high` is not
    while bool((high - low > 1.0).any()):
        middle = ((low + high) / 2.0).ceil()
        reached = cdf(middle) >= sought
        low, high = torch.where(reached, low, middle), torch.where(reached, middle, high)
    outside = torch.where(probability == 1.0, torch.inf, torch.nan)
    return torch.where(inside, high, outside)


@torch.no_grad()
def poisson_draw(rate: Tensor) -> Tensor:
    """Draw from Poisson distributions, those of a rate above 2**24 by their normal limit.

    There float32 no longer holds all whole numbers, and the limit's skewness is off by 2.5e-4.

    Example:
        >>> poisson_draw(torch.tensor([0.0, 1e12])) >= torch.tensor([0.0, 0.9e12])
        tensor([True, True])
    """
    few = torch.poisson(rate.clamp(max=_EXACT))
    many = (rate + rate.sqrt() * torch.randn_like(rate)).round()
    return torch.where(rate > _EXACT, many, few)


@torch.no_grad()
def incomplete_beta(a: Tensor, b: Tensor, odds: Tensor) -> Tensor:
    r"""Return the regularised incomplete beta function `I_x(a, b)` at `x = o / (1 + o)`.

    Its continued fraction, on the side of the mean where that converges quickly, by the method of
    Lentz. From odds o both x and 1 - x are exact.

    References:
        Didonato and Morris, 1992, Algorithm 708; Thompson and Barnett, 1986, Coulomb and Bessel
        functions of complex arguments and order (the modified method of Lentz).

    Arguments:
        a: positive, in float64.
        b: likewise.
        odds: o, likewise.

    Example:
        >>> a, b, odds = torch.tensor([[1.0, 2.0], [3.0, 1.0], [1.0, 1.0]]).double()
        >>> incomplete_beta(a, b, odds)
        tensor([0.8750, 0.2500], dtype=torch.float64)
    """
    a, b, odds = torch.broadcast_tensors(a, b, odds)
    x, rest = odds / (1.0 + odds), 1.0 / (1.0 + odds)
    below = x < (a + 1.0) / (a + b + 2.0)
    log_front = a * (odds.log() - odds.log1p()) - b * odds.log1p()  # x^a (1 - x)^b
    log_front = log_front + _log_gamma_ratio(torch.minimum(a, b), torch.maximum(a, b))
    first, second = torch.where(below, a, b), torch.where(below, b, a)
    at = torch.where(below, x, rest)
    part = torch.exp(log_front) / first * _fraction(first, second, at)
    return torch.where(below, part, 1.0 - part).clamp(0.0, 1.0)


def _log_gamma_ratio(small: Tensor, large: Tensor) -> Tensor:
    """Return `-log B(a, b)`, whose two large terms cancel for a large b: there by Stirling."""
    both = small + large
    stirling = (both - 0.5) * torch.log1p(small / large) + small * large.log() - small
    stirling = stirling + (1.0 / both - 1.0 / large) / 12.0
    plain = torch.lgamma(both) - torch.lgamma(large)
    return torch.where(large > 1e5, stirling, plain) - torch.lgamma(small)


def _fraction(a: Tensor, b: Tensor, x: Tensor) -> Tensor:
    """Return the continued fraction of the incomplete beta function."""
    above = torch.ones_like(x)
    below = 1.0 / _apart(1.0 - (a + b) * x / (a + 1.0))
    value = below
    for m in range(1, _TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0))
        step = torch.ones_like(x)
        for term in (even, odd):
            below = 1.0 / _apart(1.0 + term * below)
            above = _apart(1.0 + term / above)
            step = above * below
            value = value * step
        if bool(((step - 1.0).abs() < _CLOSE).all()):
            break
    return value


def _apart(value: Tensor) -> Tensor:
    """Return values none of which is zero."""
    return torch.where(value == 0.0, _TINY, value)
