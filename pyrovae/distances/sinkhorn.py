"""The Sinkhorn divergence."""

import math

import torch
from torch import Tensor

from pyrovae.distances.distance import Distance
from pyrovae.distances.kernel import euclidean
from pyrovae.numeric import is_count, is_finite, limit


class Sinkhorn(Distance):
    r"""The Sinkhorn divergence, `OT(x, y) - OT(x, x) / 2 - OT(y, y) / 2`.

    `OT` is the cost of moving one law onto the other, `|x - y|^2` for a unit of mass, smoothed:

        OT = min over plans P of  sum_ij P_ij |x_i - y_j|^2 + e KL(P || product of the laws)

    with `e = 2 blur^2`. The terms of a law with itself take away most of what the smoothing adds.
    The divergence lies between `W_2^2` (blur to 0) and the squared distance of the means (blur to
    infinity). As an estimate of the divergence of the laws it is biased.

    The dual potentials are found by Sinkhorn's iteration on logarithms, a fixed number of steps of
    which the first half lowers e from the largest cost. What is returned is the dual value at the
    potentials; they are constants to the gradient, which at the optimum is exact (the envelope
    theorem) and saves the memory of the steps.

    References:
        Feydy, Sejourne, Vialard, Amari, Trouve and Peyre, 2019, arXiv:1810.08278; in an
        autoencoder: Patrini et al., 2019, arXiv:1810.01118.

    Arguments:
        blur: the length over which a plan is smeared, in the units of the draws. Small against the
            distance of neighbouring draws it needs more iterations.
        iterations: how many steps are taken.

    Raises:
        ValueError: a number is out of range.

    Example:
        >>> Sinkhorn()(torch.tensor([0.0, 1.0]), torch.tensor([3.0, 2.0])).round(decimals=3)
        tensor(4.)
    """

    def __init__(self, *, blur: float = 0.5, iterations: int = 20) -> None:
        if not is_finite(blur) or blur <= 0.0:
            raise ValueError(f"Sinkhorn expects blur to be a positive finite number; got {blur!r}")
        if not is_count(iterations):
            raise ValueError(
                f"Sinkhorn expects iterations to be a positive integer{limit(iterations)}; "
                f"got {iterations!r}"
            )
        self.blur = blur
        self.iterations = iterations

    @property
    def cost(self) -> str:
        """How the work grows."""
        return f"n^2 (d + {self.iterations})"

    def between(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the divergence; see `Distance`."""
        across, one, other = (euclidean(a, b).square() for a, b in ((x, y), (x, x), (y, y)))
        largest = torch.stack([c.detach().amax() for c in (across, one, other)]).amax()
        smoothing = self._smoothing(largest)
        own = _dual(one, smoothing, same=True) + _dual(other, smoothing, same=True)
        return _dual(across, smoothing, same=False) - 0.5 * own

    def _smoothing(self, largest: Tensor) -> Tensor:
        """Return e of each step: in the first half it falls to its value, in the rest it stays."""
        final = 2.0 * self.blur**2
        start = largest.clamp(min=final).log()
        falling = math.ceil(self.iterations / 2)
        steps = torch.arange(self.iterations, dtype=largest.dtype, device=largest.device)
        share = ((steps + 1.0) / falling).clamp(max=1.0)
        return (start + share * (math.log(final) - start)).exp()


def _dual(cost: Tensor, smoothing: Tensor, *, same: bool) -> Tensor:
    """Return the dual value of smoothed transport, with its gradient by the cost.

    Given the one potential the other is the best, so that the value is a lower bound of the
    optimum however few steps were taken.

    Arguments:
        cost: the cost of each pair, of shape `[n, m]`.
        smoothing: e of each step.
        same: whether both laws are one, and so the potentials.
    """
    with torch.no_grad():
        potential = torch.zeros_like(cost[:, 0])
        for e in smoothing:
            there = _best(cost, potential, e)
            # two steps at once would swing to and fro where both potentials are one
            back = there if same else _best(cost.mT, there, e)
            potential = 0.5 * (potential + back) if same else back
    return potential.mean() + _best(cost, potential, smoothing[-1]).mean()


def _best(cost: Tensor, potential: Tensor, e: Tensor) -> Tensor:
    """Return the potential of the columns that is best for one of the rows, of shape `[m]`."""
    return -e * ((potential.unsqueeze(-1) - cost) / e).logsumexp(0) + e * math.log(len(cost))
