"""The regularised incomplete beta function and its inverse, in float64, without gradients."""

import torch
from torch import Tensor

from pyrovae.distributions.solving import root

_STEPS = 20_000  # of the fraction, at most: it takes about the square root of the parameters
_CONVERGED = 2e-15
_LEAST = 1e-300
_LOWEST = -744.0  # the logarithm of the least positive number of float64
_HALF = -0.6931471805599453


def incomplete_beta(a: Tensor, b: Tensor, log_x: Tensor, log_y: Tensor) -> tuple[Tensor, Tensor]:
    r"""Return I_x(a, b), the cumulative probability of Beta(a, b) at x, and 1 - I_x(a, b).

        I_x(a, b) = x^a y^b / (a B(a, b)) * 1 / (1 + d_1 / (1 + d_2 / (1 + ...))),   y = 1 - x

    and of `I_x(a, b)` and `I_y(b, a)`, which make up one, that is taken whose fraction converges
    fast. So both results keep their digits where they are small.

    References:
        DLMF, equation 8.17.22.

    Arguments:
        a: positive, of any shape, in float64.
        b: likewise.
        log_x: log x.
        log_y: log(1 - x).

    Example:
        >>> one, x = torch.ones(2, dtype=torch.float64)[0], torch.tensor(0.3, dtype=torch.float64)
        >>> below, above = incomplete_beta(2 * one, one, x.log(), (1 - x).log())  # x^2
        >>> round(below.item(), 12), round(above.item(), 12)
        (0.09, 0.91)
    """
    a, b, log_x, log_y = torch.broadcast_tensors(a, b, log_x, log_y)
    swapped = log_x.exp() > (a + 1.0) / (a + b + 2.0)
    first, second = torch.where(swapped, b, a), torch.where(swapped, a, b)
    front = torch.exp(a * log_x + b * log_y - log_beta(a, b)) / first
    value = front * _fraction(first, second, torch.where(swapped, log_y, log_x).exp())
    value = value.clamp(0.0, 1.0)
    return torch.where(swapped, 1.0 - value, value), torch.where(swapped, value, 1.0 - value)


def beta_quantile(a: Tensor, b: Tensor, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
    """Return log x and log(1 - x) of the x below which Beta(a, b) has a given probability.

    Arguments:
        a: positive, of any shape, in float64.
        b: likewise.
        lower: the probability below x.
        upper: the probability above x, one less the other, given apart for the sake of its digits.

    Example:
        >>> one, p = torch.ones(2, dtype=torch.float64)[0], torch.tensor(0.09, dtype=torch.float64)
        >>> log_x, log_y = beta_quantile(2 * one, one, p, 1 - p)
        >>> round(log_x.exp().item(), 12), round(log_y.exp().item(), 12)
        (0.3, 0.7)
    """
    a, b, lower, upper = torch.broadcast_tensors(a, b, lower, upper)
    half = torch.full_like(a, _HALF)
    swapped = incomplete_beta(a, b, half, half)[0] < lower  # x above a half: find 1 - x
    first, second = torch.where(swapped, b, a), torch.where(swapped, a, b)
    target = torch.where(swapped, upper, lower).log()
    constant = log_beta(a, b)

    def excess(log_u: Tensor) -> tuple[Tensor, Tensor]:
        log_v = torch.log1p(-log_u.exp())
        below = incomplete_beta(first, second, log_u, log_v)[0].clamp(min=_LEAST)
        slope = torch.exp(first * log_u + (second - 1.0) * log_v - constant) / below
        return below.log() - target, slope

    start = (target + first.log() + constant) / first  # exact for small x
    log_u = root(excess, low=torch.full_like(a, _LOWEST), high=half, start=start)
    log_v = torch.log1p(-log_u.exp())
    return torch.where(swapped, log_v, log_u), torch.where(swapped, log_u, log_v)


def log_beta(a: Tensor, b: Tensor) -> Tensor:
    """Return the logarithm of the beta function, B(a, b)."""
    return torch.lgamma(a) + torch.lgamma(b) - torch.lgamma(a + b)


def _fraction(a: Tensor, b: Tensor, x: Tensor) -> Tensor:
    """Return `1 / (1 + d_1 / (1 + d_2 / ...))` from its front, by ratios of its convergents.

    What has converged is set aside, as few elements take long.
    """
    shape, result = x.shape, torch.empty_like(x).flatten()
    place = torch.arange(len(result), device=x.device)
    a, b, x = a.flatten(), b.flatten(), x.flatten()
    upper = torch.ones_like(x)
    lower = 1.0 / _sound(1.0 - (a + b) * x / (a + 1.0))
    value = lower
    for m in range(1, _STEPS):
        before = value
        even = m * (b - m) * x / ((a + (2 * m - 1)) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + (2 * m + 1)))
        for term in (even, odd):
            lower = 1.0 / _sound(1.0 + term * lower)
            upper = _sound(1.0 + term / upper)
            value = value * (lower * upper)
        going = (value - before).abs() > _CONVERGED * value.abs()
        if 2 * int(going.sum()) <= len(going):
            result[place] = value
            place, a, b, x = place[going], a[going], b[going], x[going]
            upper, lower, value = upper[going], lower[going], value[going]
        if not len(place):
            break
    result[place] = value
    return result.reshape(shape)


def _sound(value: Tensor) -> Tensor:
    return torch.where(value.abs() < _LEAST, _LEAST, value)
