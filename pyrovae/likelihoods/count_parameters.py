"""Parameters of counts: a mean that neither vanishes nor overflows, and a dispersion."""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from pyrovae.heads import FLOOR, positive, raw_of
from pyrovae.likelihoods.likelihood import Shape, mean_of
from pyrovae.numeric import is_finite

Dispersion = Literal["shared", "element", "network"]

_LINEAR = 20.0  # from where on a mean grows in proportion to the raw number: 4.9e8
_LEAST = 1e-4  # of a mean to start at
_DISPERSIONS = 0.01, 100.0  # to start at


def log_mean_of(raw: Tensor) -> Tensor:
    """Map raw numbers to logarithms of means: themselves up to 20, from there on linear means.

    So a mean of 4.9e8 at a raw number of 20 grows to 4.8e12 at 1e4, and has a gradient everywhere.
    Downwards there is no bound; a likelihood that is given by the logarithm needs none.

    Example:
        >>> log_mean_of(torch.tensor([-1e4, 2.0, 20.0, 1e4])).tolist()[:3]
        [-10000.0, 2.0, 20.0]
    """
    above = (raw - _LINEAR).clamp(min=0.0)
    return torch.where(raw > _LINEAR, _LINEAR + above.log1p(), raw)


def raw_of_mean(mean: Tensor) -> Tensor:
    """Return the raw numbers of means, of at least 0.0001.

    Example:
        >>> log_mean_of(raw_of_mean(torch.tensor([3.0, 1e12]))).exp()
        tensor([3.0000e+00, 1.0000e+12])
    """
    log_mean = mean.clamp(min=_LEAST).log()
    above = (log_mean - _LINEAR).clamp(min=0.0)
    return torch.where(log_mean > _LINEAR, _LINEAR + above.expm1(), log_mean)


def dispersion_parameter(owner: str, dispersion: object, event_shape: Shape) -> nn.Parameter | None:
    """Return the raw numbers of a learned dispersion, None where it is given or predicted.

    Raises:
        ValueError: the dispersion is none of the four kinds.
    """
    if dispersion in ("shared", "element"):
        return nn.Parameter(torch.zeros(event_shape if dispersion == "element" else ()))
    if dispersion != "network" and (
        not is_finite(dispersion) or not FLOOR <= float(dispersion) <= 1.0 / FLOOR  # type: ignore[arg-type]
    ):
        raise ValueError(
            f"{owner} expects dispersion to be a number from {FLOOR:g} to {1.0 / FLOOR:g}, "
            f"'shared', 'element' or 'network'; got {dispersion!r}"
        )
    return None


def dispersion_of(
    dispersion: float | Dispersion, learned: Tensor | None, parameters: Mapping[str, Tensor]
) -> Tensor:
    """Return the dispersion d of counts, by the raw numbers of wherever it comes from."""
    if dispersion == "network":
        return positive(parameters["dispersion"])
    if learned is not None:
        return positive(learned)
    return torch.full_like(parameters["mean"], float(dispersion))


@torch.no_grad()
def start_dispersion(
    batch: Mapping[str, Tensor], dispersion: float | Dispersion, learned: Tensor | None
) -> Tensor:
    """Begin at the dispersion of the data by its moments, and return it for each element."""
    mean = mean_of(batch)
    beyond = (mean_of(batch, power=2) - mean.square() - mean).clamp(min=0.0)  # v - m = d m^2
    square = mean.square()
    each = (beyond / square.clamp(min=_LEAST)).clamp(*_DISPERSIONS)
    if learned is None:
        return each if dispersion == "network" else torch.full_like(mean, float(dispersion))
    if dispersion == "shared":
        whole = beyond.sum() / square.sum().clamp(min=_LEAST)
        each = whole.clamp(*_DISPERSIONS).expand(mean.shape)
    learned.copy_(raw_of(each[(0,) * mean.dim()] if dispersion == "shared" else each))
    return each


def stacked(parts: list[Tensor], out_shape: Shape) -> Tensor:
    """Return raw numbers of one element each in the shape of a head."""
    return torch.cat([part.flatten() for part in parts]).reshape(out_shape)


def log1p_of(x: Tensor) -> Tensor:
    """Return counts as an encoder sees them, `log(1 + x)`."""
    return x.clamp(min=0.0).log1p()


REMEDY = (
    "the data must be whole numbers 0, 1, 2, ...; score other numbers with Normal, grey levels "
    "with Binomial(total_count=the largest level), codes with Categorical"
)
