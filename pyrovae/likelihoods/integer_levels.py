"""What the likelihoods of integer levels have in common: their units, and where they begin."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from pyrovae.heads import positive, raw_of
from pyrovae.likelihoods.likelihood import Likelihood, mean_of
from pyrovae.numeric import is_count, limit

_LEAST = 0.02  # of all levels: the standard deviation that data without any begin at
_EDGE = 0.001  # of all levels: as near as the first mean comes to an end
_BETWEEN = 0.7  # of the variance: the share that is between the components
_STEPS = 3  # of Newton's method


def highest_level(likelihood: Likelihood, total_count: int) -> int:
    """Return the highest level, or raise ValueError where it is no count."""
    if not is_count(total_count):
        raise ValueError(
            f"{type(likelihood).__name__} expects total_count to be a positive "
            f"integer{limit(total_count)}, the highest level of the data; got {total_count!r}"
        )
    return total_count


def to_unit(x: Tensor, total_count: int) -> Tensor:
    """Return levels 0..n as numbers from -1 to 1.

    Example:
        >>> to_unit(torch.tensor([0.0, 2.0, 4.0]), 4)
        tensor([-1.,  0.,  1.])
    """
    return x * (2.0 / total_count) - 1.0


def in_levels(loc: Tensor, raw_scale: Tensor, total_count: int) -> tuple[Tensor, Tensor]:
    """Return a location in -1..1 and a raw scale as a location and a scale in levels."""
    half = 0.5 * total_count
    return half + half * loc, half * positive(raw_scale)


def start(
    batch: Mapping[str, Tensor], total_count: int, *, components: int = 1
) -> tuple[Tensor, Tensor]:
    """Return the raw locations and scales of discretised logistics with the data's mean together.

    The means of several are spread evenly about that of the data, so that the mixture is as wide
    and flat as the levels of pixels are. Without the clipping at the ends a mean would be the
    location. With it the sum over the levels is nearly an integral, which has a closed inverse, and
    Newton's method does the rest.

    Arguments:
        batch: a batch of data.
        total_count: the highest level, n.
        components: how many, K.

    Returns:
        Both of shape `[K, *event_shape]`.
    """
    data_mean = mean_of(batch)
    variance = mean_of(batch, power=2) - data_mean.square()
    low, high = _EDGE * total_count, (1.0 - _EDGE) * total_count
    mean = data_mean.clamp(low, high)
    spread = variance.clamp(min=(_LEAST * total_count) ** 2).sqrt()
    between = _BETWEEN if components > 1 else 0.0
    farthest = spread * math.sqrt(between * 3.0 * (components - 1) / (components + 1))
    farthest = torch.minimum(farthest, torch.minimum(mean - low, high - mean))
    steps = torch.linspace(-1.0, 1.0, components) if components > 1 else torch.zeros(1)
    steps = steps.to(mean).reshape(-1, *(1,) * mean.dim())
    scale = (spread * math.sqrt(3.0 * (1.0 - between)) / math.pi).expand(components, *mean.shape)
    loc = _location(mean + steps * farthest, scale, total_count)
    half = 0.5 * total_count
    return loc / half - 1.0, raw_of(scale / half)


def _location(mean: Tensor, scale: Tensor, total_count: int) -> Tensor:
    """Return m with `sum_k sigma((m - k + 1/2) / s)`, k = 1..n, equal to the mean."""
    rest = total_count - mean  # `s log(1 + e^(m / s)) - s log(1 + e^((m - n) / s))` is inverted
    loc = mean + scale * (
        torch.log(-torch.expm1(-mean / scale)) - torch.log(-torch.expm1(-rest / scale))
    )
    levels = torch.arange(1, total_count + 1, dtype=mean.dtype, device=mean.device)
    for _ in range(_STEPS):
        excess, slope = -mean, torch.zeros_like(mean)
        for level in levels:
            mass = torch.sigmoid((loc - level + 0.5) / scale)
            excess, slope = excess + mass, slope + mass * (1.0 - mass) / scale
        step = excess / slope.clamp(min=1e-6)
        loc = loc - torch.minimum(step.abs(), 2.0 * scale) * step.sign()
    return loc
