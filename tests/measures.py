"""Quadrature over every kind of z: points and weights, by the measure that densities refer to."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from torch import Tensor

# the sizes of one z that there are nodes for
SIZES: dict[str, tuple[int, ...]] = {
    "vectors": (1, 2),
    "points of a sphere": (2, 3),
    "points of a simplex": (2, 3),
    "one-hot codes": (2, 3),
    "binary codes": (1, 2, 3),
    "spikes and slabs": (1, 2),
}


@dataclass(frozen=True)
class Line:
    """A range of numbers as a smooth image x(t) of the real line, for the trapezoid rule over t."""

    low: float
    high: float
    to_line: Callable[[Tensor], Tensor]
    from_line: Callable[[Tensor], Tensor]
    log_slope: Callable[[Tensor], Tensor]  # log dx / dt, at t

    def nodes(self, count: int) -> tuple[Tensor, Tensor]:
        """Return x in order, and weights, so that sums are integrals over x."""
        t = torch.linspace(self.low, self.high, count)
        weight = self.log_slope(t).exp() * (self.high - self.low) / (count - 1)
        weight[[0, -1]] /= 2
        return self.from_line(t), weight


# the ends leave out less mass than the tests tolerate, of whatever they integrate
LINES = {
    "real": Line(-12.0, 12.0, lambda x: x, lambda t: t, torch.zeros_like),
    "long": Line(-20.0, 20.0, lambda x: x, lambda t: t, torch.zeros_like),
    "wide": Line(
        -20.0, 20.0, torch.asinh, torch.sinh, lambda t: torch.logaddexp(t, -t) - math.log(2.0)
    ),
    "positive": Line(-60.0, 15.0, torch.log, torch.exp, lambda t: t),
    "unit": Line(
        -36.0,
        36.0,
        torch.logit,
        torch.sigmoid,
        lambda t: -torch.nn.functional.softplus(t) - torch.nn.functional.softplus(-t),
    ),
}


def nodes(kind: str, size: int) -> tuple[Tensor, Tensor]:
    """Return points `[N, *event_shape]` and weights `[N]`, so that sums are integrals."""
    if kind == "vectors":
        return _grid(size, 4801 if size == 1 else 481)
    if kind == "points of a sphere":
        return _circle() if size == 2 else _sphere()
    if kind == "points of a simplex":
        return _simplex(size)
    if kind == "one-hot codes":
        return torch.eye(size).unsqueeze(1), torch.ones(size)
    if kind == "binary codes":
        points = torch.tensor(list(product((0.0, 1.0), repeat=size)))
        return points, torch.ones(len(points))
    if kind == "spikes and slabs":
        return _spikes(size)
    raise ValueError(f"no quadrature over {kind}")


def _grid(size: int, count: int) -> tuple[Tensor, Tensor]:
    """The trapezoid rule over +-12, whose error at a kink is below what is asked."""
    line = torch.linspace(-12.0, 12.0, count)
    weight = torch.full((count,), 24.0 / (count - 1))
    weight[0] = weight[-1] = weight[0] / 2
    if size == 1:
        return line.unsqueeze(-1), weight
    return torch.cartesian_prod(line, line), torch.outer(weight, weight).flatten()


def _circle() -> tuple[Tensor, Tensor]:
    """Equal angles, which are exact to rounding for a smooth function."""
    angle = 2 * math.pi * torch.arange(2000) / 2000
    points = torch.stack([angle.cos(), angle.sin()], -1)
    return points, torch.full((2000,), 2 * math.pi / 2000)


def _sphere() -> tuple[Tensor, Tensor]:
    """Equal angles about the axis, Gauss and Legendre's nodes along it."""
    height, share = (torch.as_tensor(part) for part in np.polynomial.legendre.leggauss(200))
    angle = 2 * math.pi * torch.arange(400) / 400
    radius = (1 - height.square()).sqrt().unsqueeze(-1)
    around = torch.stack([radius * angle.cos(), radius * angle.sin()], -1)
    points = torch.cat([around, height[:, None, None].expand(200, 400, 1)], -1)
    weights = (share.unsqueeze(-1) * 2 * math.pi / 400).expand(200, 400)
    return points.flatten(0, 1), weights.flatten()


def _unit(count: int) -> tuple[Tensor, Tensor]:
    """Nodes of (0, 1) that crowd at both ends: the trapezoid rule over the logit of z."""
    line = torch.linspace(-30.0, 30.0, count)
    value = torch.sigmoid(line)
    return value, 60.0 / (count - 1) * value * torch.sigmoid(-line)


def _simplex(size: int) -> tuple[Tensor, Tensor]:
    """All but the last coordinate by Lebesgue's measure, which is torch's convention."""
    if size == 2:
        value, weight = _unit(4001)
        return torch.stack([value, 1 - value], -1), weight
    first, weight = _unit(501)
    share, inner = _unit(501)
    rest = (1 - first).unsqueeze(-1)
    points = torch.stack(
        [first.unsqueeze(-1).expand(501, 501), rest * share, rest * (1 - share)], -1
    )
    weights = weight.unsqueeze(-1) * rest * inner
    return points.flatten(0, 1), weights.flatten()


def _spikes(size: int) -> tuple[Tensor, Tensor]:
    """For each dimension the atom at zero and the real line."""
    line, weight = _grid(1, 480)  # an even number: the line's nodes leave the atom out
    value = torch.cat([torch.zeros(1), line.squeeze(-1)])
    mass = torch.cat([torch.ones(1), weight])
    if size == 1:
        return value.unsqueeze(-1), mass
    return torch.cartesian_prod(value, value), torch.outer(mass, mass).flatten()
