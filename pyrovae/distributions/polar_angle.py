r"""Polar angle: draws of the angle between z and the mean direction, by inverting its distribution.

Under the von Mises-Fisher distribution on the sphere in R^dim, the angle has the density

    f(theta) proportional to  exp(k cos theta) sin(theta)^(dim - 2),    0 <= theta <= pi.

A table of its integral over cells finds the cell of a draw, and a fixed number of Newton's steps
the place inside it, with Gauss's rule for what remains of the integral. So there is nothing to
reject: the number of operations is fixed, and the draw a smooth function of the concentration k,
whose derivative `-(dF/dk) / f` (implicit reparameterisation; Figurnov, Mohamed and Mnih, 2018,
arXiv:1805.08498) comes from the same table.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

_CELLS = 80
_WIDTHS = 10.0  # of the table, on each side of the mode
_STEPS = 4  # of Newton's method, inside a cell
_FAR = 0.5 * math.sqrt(0.6)
# Gauss's rule of a unit cell, and the cell's end, which has no weight: nodes, then weights
_RULE = ((0.5 - _FAR, 0.5, 0.5 + _FAR, 1.0), (5.0 / 18.0, 8.0 / 18.0, 5.0 / 18.0, 0.0))
_LITTLE = 1e-30


@dataclass(frozen=True)
class _Law:
    """The density of the angle, one at its mode, for concentrations `[rows, 1, 1]`."""

    concentration: Tensor
    power: int
    mode: Tensor

    def density(self, angle: Tensor) -> Tensor:
        """Return the density at angles of shape `[rows, n, m]`."""
        middle, half = 0.5 * (angle + self.mode), 0.5 * (angle - self.mode)
        exponent = -2.0 * self.concentration * middle.sin() * half.sin()  # no cosines to cancel
        if self.power:
            least = torch.finfo(angle.dtype).tiny
            ratio = angle.sin().clamp(min=least) / self.mode.sin()
            exponent = exponent + self.power * ratio.log()
        return exponent.exp()

    def integrals(self, start: Tensor, length: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return integrals over short intervals, of shape `[rows, n]`, and the density behind them.

        The integrals are of the density, and of it times the cosine.
        """
        nodes, weights = torch.tensor(_RULE, dtype=length.dtype, device=length.device)
        angle = start.unsqueeze(-1) + nodes * length.unsqueeze(-1)
        density = self.density(angle)
        mass = (density * weights).sum(-1) * length
        moment = (density * weights * angle.cos()).sum(-1) * length
        return mass, moment, density[..., -1].clamp(min=_LITTLE)


def _law(concentration: Tensor, power: int) -> tuple[_Law, Tensor, Tensor]:
    """Return the density of the angle, and the interval outside which it has no mass to speak of.

    The cosine c at the mode solves `k (1 - c^2) = power c`, and the width is that of the normal
    density of the same curvature.
    """
    root = (power * power + 4.0 * concentration.square()).sqrt()
    cosine = 2.0 * concentration / (power + root)
    square = 2.0 * power / (power + root)  # sin^2 = power c / k
    mode = torch.atan2(square.sqrt(), cosine)
    curvature = concentration * cosine
    if power:
        curvature = curvature + power / square
    width = curvature.rsqrt()
    low = (mode - _WIDTHS * width).clamp(min=0.0)
    high = (mode + _WIDTHS * width).clamp(max=math.pi)
    return _Law(concentration, power, mode), low.squeeze(-1), high.squeeze(-1)


@torch.no_grad()
def polar_angle(concentration: Tensor, uniform: Tensor, *, dim: int) -> tuple[Tensor, Tensor]:
    """Return angles at given levels of their distribution, and their derivatives in k.

    Arguments:
        concentration: k, positive, of shape `[rows]`.
        uniform: the levels, between 0 and 1, of shape `[rows, n]` and the type of k.
        dim: the number of elements of z.

    Example:
        >>> k, u = torch.tensor([2.0], dtype=torch.float64), torch.tensor([[0.25]]).double()
        >>> angle, slope = polar_angle(k, u, dim=3)  # where 1 + log(1 - u (1 - e^-2k)) / k = cos
        >>> torch.cos(angle).item() - (1 + torch.log(1 - u * (1 - torch.exp(-2 * k))) / k).item()
        0.0
    """
    law, low, high = _law(concentration[:, None, None], dim - 2)
    step = (high - low) / _CELLS
    start = low + step * torch.arange(_CELLS, dtype=step.dtype, device=step.device)
    mass, moment, _ = law.integrals(start, step.expand_as(start))
    ends, moments = mass.cumsum(-1), moment.cumsum(-1)
    total, mean = ends[:, -1:], moments[:, -1:] / ends[:, -1:]

    level = uniform * total
    cell = torch.searchsorted(ends, level.contiguous()).clamp(max=_CELLS - 1)
    inside = mass.gather(-1, cell)
    share = (level - ends.gather(-1, cell) + inside) / inside  # of the cell's mass
    share = share.nan_to_num(0.5).clamp(0.0, 1.0)
    begin = low + step * cell
    length = step * _guess(share, cell, low=low, high=high, dim=dim)
    for _ in range(_STEPS):
        found, _, density = law.integrals(begin, length)
        length = (length - (found - share * inside) / density).clamp(min=0.0)
        length = torch.minimum(length, step)

    found, towards, density = law.integrals(begin, length)
    before = ends.gather(-1, cell) - inside
    moment_before = moments.gather(-1, cell) - moment.gather(-1, cell)
    change = moment_before + towards - mean * (before + found)
    return begin + length, -change / density


def _guess(share: Tensor, cell: Tensor, *, low: Tensor, high: Tensor, dim: int) -> Tensor:
    """Return about where in its cell, from 0 to 1, a share of the cell's mass is reached.

    At a pole the density is like the distance to it to the power `dim - 2`.
    """
    root = 1.0 / (dim - 1)
    at_first = (cell == 0) & (low <= 0.0)
    at_last = (cell == _CELLS - 1) & (high >= math.pi)
    guess = torch.where(at_first, share.pow(root), share)
    return torch.where(at_last, 1.0 - (1.0 - share).pow(root), guess)
