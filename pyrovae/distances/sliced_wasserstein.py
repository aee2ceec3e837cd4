"""The sliced Wasserstein distance."""

import torch
from torch import Tensor

from pyrovae.distances.distance import Distance
from pyrovae.distances.slicing import checked_projections, sliced
from pyrovae.numeric import is_finite


class SlicedWasserstein(Distance):
    r"""The sliced Wasserstein distance to its power, `mean over directions of W_p^p` along each.

    Along a direction both samples are sorted, and `W_p^p` of the two empirical laws is the integral
    of `|F^-1(u) - G^-1(u)|^p` over u, which is exact for samples of any two sizes. Between
    `N(m, s^2 I)` and `N(0, I)` in d dimensions with p = 2 it is `|m|^2 / d + (s - 1)^2`. As an
    estimate of the distance of the laws it is too large, the less the larger the samples.

    References:
        Bonneel, Rabin, Peyre and Pfister, 2015, Sliced and Radon Wasserstein barycenters; in an
        autoencoder: Kolouri, Pope, Martin and Rohde, 2018, arXiv:1804.01947.

    Arguments:
        projections: how many random directions are taken, anew at each call; in one dimension one
            is enough and no more are taken.
        order: the power p, at least 1.

    Raises:
        ValueError: a number is out of range.

    Example:
        >>> SlicedWasserstein()(torch.tensor([0.0, 1.0]), torch.tensor([3.0, 2.0]))
        tensor(4.)
    """

    def __init__(self, *, projections: int = 50, order: float = 2.0) -> None:
        self.projections = checked_projections(self, projections)
        if not is_finite(order) or order < 1:
            raise ValueError(
                f"SlicedWasserstein expects order to be a finite number of at least 1; "
                f"got {order!r}"
            )
        self.order = order

    @property
    def cost(self) -> str:
        """How the work grows."""
        return f"{self.projections} n (d + log n)"

    def between(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the mean over directions; see `Distance`."""
        one, other = sliced(x, y, projections=self.projections)
        first, second = one.sort(dim=0).values, other.sort(dim=0).values
        if len(first) == len(second):
            return self._power(first - second).mean()
        width, at_first, at_second = _steps(len(first), len(second), device=x.device)
        powers = self._power(first[at_first] - second[at_second]).mean(-1)
        return (width.to(powers) * powers).sum() / (len(first) * len(second))

    def _power(self, difference: Tensor) -> Tensor:
        if self.order == 2:
            return difference.square()
        return difference.abs() if self.order == 1 else difference.abs().pow(self.order)


def _steps(n: int, m: int, *, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Return the steps of two quantile functions on common intervals of (0, 1).

    The functions jump at `i / n` and at `j / m`. In units of `1 / n m` these are whole numbers, so
    the order is exact. An interval of two jumps at one place has no width.

    Returns:
        The width of each interval in these units, and the step of either function on it.
    """
    jumps = torch.cat(
        [
            torch.arange(n + 1, device=device) * m,
            torch.arange(1, m, device=device) * n,
        ]
    )
    edges = jumps.sort().values
    start = edges[:-1]
    return edges.diff(), start // m, start // n
