"""Whole numbers: quantiles of counts, and draws of large ones.

All of it is for looking at a distribution: nothing here has a gradient or is recorded.
"""

from collections.abc import Callable

import torch
from torch import Tensor

_EXACT = 2.0**24  # float32 holds every whole number up to here, and none of the odd ones beyond
_LARGEST = 2.0**53  # likewise of float64


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
