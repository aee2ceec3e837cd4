"""Solving: where an increasing function reaches a value, which is what a quantile is."""

from collections.abc import Callable

import torch
from torch import Tensor

_STEPS = 100  # a bracket is below 2000 wide: 64 halvings would end in rounding
_SETTLED = 1e-14  # a value, or a step relative to the point, below which there is no better one
_ROUNDING = 1e-13  # what a cumulative probability may lack of the one that it is to reach


def root(
    function: Callable[[Tensor], tuple[Tensor, Tensor]],
    *,
    low: Tensor,
    high: Tensor,
    start: Tensor,
) -> Tensor:
    """Return the elementwise root of increasing functions, by Newton's steps within a bracket.

    A step that would leave the bracket halves it instead, so that it always ends. For float64.

    Arguments:
        function: returns the values and the slopes at a point.
        low: below the root; what is returned where the function is positive everywhere.
        high: above the root; what is returned where it is negative everywhere.
        start: a first guess.

    Example:
        >>> ends = torch.tensor([0.0, 3.0], dtype=torch.float64)
        >>> low, high = ends.split(1)
        >>> root(lambda s: (s**2 - 2, 2 * s), low=low, high=high, start=high)
        tensor([1.4142], dtype=torch.float64)
    """
    point = torch.maximum(torch.minimum(start, high), low)
    for _ in range(_STEPS):
        value, slope = function(point)
        low = torch.where(value < 0, point, low)
        high = torch.where(value < 0, high, point)
        following = point - value / slope
        inside = (following >= low) & (following <= high)  # not where it is nan
        following = torch.where(inside, following, 0.5 * (low + high))
        following = torch.where(value.abs() <= _SETTLED, point, following)
        settled = (following - point).abs() <= _SETTLED * (1.0 + point.abs())
        point = following
        if bool(settled.all()):
            break
    return point


def least_count(
    cumulative: Callable[[Tensor], Tensor], probability: Tensor, *, most: Tensor
) -> Tensor:
    """Return the smallest counts whose cumulative probability reaches a given one, by halving.

    It counts as reached where 1e-13 lacks, as by rounding.

    Arguments:
        cumulative: returns P(X <= k) of counts k below `most`, in float64.
        probability: what is to be reached, of the shape of the counts; one is by `most` alone.
        most: the largest counts, of that shape.

    Example:
        >>> half = torch.tensor(0.5, dtype=torch.float64)
        >>> least_count(lambda k: (k + 1) / 10, half, most=torch.tensor(9.0)).item()
        4.0
    """
    low, high = torch.full_like(most, -1.0), most
    while bool((high - low > 1.0).any()):
        middle = torch.floor(0.5 * (low + high))
        reached = cumulative(middle.clamp(min=0.0)) >= probability - _ROUNDING
        reached = reached & (middle >= 0.0)
        low, high = torch.where(reached, low, middle), torch.where(reached, middle, high)
    return torch.where(probability >= 1.0, most, high)
