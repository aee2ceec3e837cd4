"""The energy distance."""

import math
from typing import ClassVar

import torch
from torch import Tensor

from pyrovae.distances.distance import Distance
from pyrovae.distances.kernel import euclidean
from pyrovae.distances.slicing import checked_projections, sliced


class Energy(Distance):
    r"""The energy distance, `2 E|x - y| - E|x - x'| - E|y - y'|`.

    The estimate is the U-statistic, whose means over x, x' and over y, y' leave out the pairs of a
    draw with itself. It is unbiased, and so may be negative where the laws are close.

    In one dimension it is twice the Cramer distance, `int (F - G)^2`, and costs a sort. In more
    dimensions its mean over the directions of projection is the energy distance times a constant,
    `Gamma(d/2) / (sqrt(pi) Gamma((d+1)/2))`, also known as the Radon-Sobolev distance. So with
    `projections` the estimate is divided by that constant, is of the same quantity, still unbiased,
    and needs no matrix of all pairs; the directions add to its variance.

    References:
        Szekely and Rizzo, 2013, Energy statistics; in an autoencoder: Turinici, 2021,
        arXiv:1911.13135.

    Arguments:
        projections: how many random directions are taken, anew at each call; None takes all pairs
            of draws in place of directions.

    Raises:
        ValueError: a number is out of range; when it is called, a sample has fewer than two draws.

    Example:
        >>> Energy()(torch.tensor([0.0, 1.0]), torch.tensor([3.0, 2.0]))
        tensor(2.)
        >>> Energy(projections=10).cost
        '10 n (d + log n)'
    """

    unbiased: ClassVar[bool] = True
    least: ClassVar[int] = 2

    def __init__(self, *, projections: int | None = None) -> None:
        self.projections = None if projections is None else checked_projections(self, projections)

    @property
    def cost(self) -> str:
        """How the work grows."""
        if self.projections is None:
            return "n^2 d, in one dimension n log n"
        return f"{self.projections} n (d + log n)"

    def between(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the U-statistic; see `Distance`."""
        n, m, dim = len(x), len(y), x.shape[-1]
        if self.projections is None and dim > 1:
            inner = euclidean(x, x).sum() / (n * (n - 1)) + euclidean(y, y).sum() / (m * (m - 1))
            return 2.0 * euclidean(x, y).mean() - inner
        one, other = sliced(x, y, projections=self.projections or 1)
        both = torch.cat([one, other])
        centre = both.detach().mean(0)  # of no effect but on rounding
        within_x, within_y = _pairs(one - centre), _pairs(other - centre)
        across = _pairs(both - centre) * (n + m) ** 2 - within_x * n**2 - within_y * m**2
        inner = within_x * (n / (n - 1)) + within_y * (m / (m - 1))
        return (across / (n * m) - inner).mul(2.0).mean() / _shrinkage(dim)


def _pairs(x: Tensor) -> Tensor:
    """Return `sum_{i < j} |x_i - x_j| / n^2` along the first dimension, by sorting.

    Of sorted numbers the one at place i is the larger in i pairs and the smaller in n - 1 - i.
    """
    n = len(x)
    place = torch.arange(n, dtype=x.dtype, device=x.device)
    weight = (2.0 * place - (n - 1)) / n**2
    return weight @ x.sort(dim=0).values


def _shrinkage(dim: int) -> float:
    """Return the mean length of a projection of a unit vector on a random direction."""
    return math.exp(math.lgamma(dim / 2) - math.lgamma((dim + 1) / 2)) / math.sqrt(math.pi)
