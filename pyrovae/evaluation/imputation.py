"""Imputation: missing entries filled in, several times over and by their means."""

import math
import warnings
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from pyrovae.numeric import is_finite

_FEW = 20  # effective samples, below which too few z stand for p(z | x_known)
_WARNED = 0.01  # of the data may have so few before that is said
_ROUNDING = 1e-6  # of a place among the draws


@dataclass(frozen=True, kw_only=True)
class Imputation:
    """What `impute` returns: data in which known entries are as they were.

    Arguments:
        draws: whole data, drawn from p(x_missing | x_known), of shape `[draws, N, *event_shape]`.
        mean: E[x_missing | x_known], of shape `[N, *event_shape]`; nan where p(x | z) has no mean.
        spread: the standard deviation of p(x_missing | x_known), of the same shape; zero for known
            entries, nan where p(x | z) has no variance in closed form.
        missing: which entries were filled in, of the same shape, boolean.
        codes: which elements are codes, that have no mean worth the name, of shape `event_shape`.
        index: which datum each row is, of shape `[N]`.
        ess: the effective sample size of each datum's importance weights, from 1 to `samples`, of
            shape `[N]`; nan where no draw of z has a finite density.
        samples: the number of draws of z for each datum.
    """

    draws: Tensor
    mean: Tensor
    spread: Tensor
    missing: Tensor
    codes: Tensor
    index: Tensor
    ess: Tensor
    samples: int

    @property
    def filled(self) -> Tensor:
        """Each datum once, with the mean of a missing entry, or of a code the commonest draw.

        Where no draw comes twice, it is the median of the draws.
        """
        commonest = self.draws.mode(0).values
        repeated = (self.draws == commonest).sum(0) > 1
        drawn = torch.where(repeated, commonest, self.draws.median(0).values)
        return torch.where(self.missing & (self.codes | self.mean.isnan()), drawn, self.mean)

    def quantile(self, probability: float) -> Tensor:
        """Return a quantile of each entry, of the draws, of shape `[N, *event_shape]`.

        It is the draw at the place `probability * (draws + 1)` of their order, and between two
        places in proportion, so that an interval between two quantiles holds a further draw as
        often as it says. The extremes of few draws are no quantile, and are refused.

        Arguments:
            probability: between 0 and 1.

        Raises:
            ValueError: it is no such number, or there are too few draws for it.

        Example:
            >>> tensors = {"missing": torch.ones(1, 1) > 0, "codes": torch.ones(1) < 0}
            >>> draws = torch.arange(19.0).reshape(19, 1, 1)
            >>> tensors |= dict.fromkeys(("mean", "spread", "index", "ess"), torch.zeros(1, 1))
            >>> Imputation(draws=draws, **tensors, samples=1).quantile(0.05)
            tensor([[0.]])
        """
        if not is_finite(probability) or not 0.0 < probability < 1.0:
            raise ValueError(f"quantile expects a probability between 0 and 1; got {probability!r}")
        count = len(self.draws)
        place = probability * (count + 1) - 1.0
        place = round(place) if abs(place - round(place)) < _ROUNDING else place
        if not 0.0 <= place <= count - 1:
            least = least_draws(min(probability, 1.0 - probability))
            raise ValueError(
                f"the quantile {probability:g} needs at least {least} draws; got {count}"
            )
        below = int(place)
        ordered = self.draws.sort(0).values
        share = place - below
        if not share:
            return ordered[below]
        return ordered[below].lerp(ordered[below + 1], share)

    def interval(self, probability: float) -> tuple[Tensor, Tensor]:
        """Return the ends of the central interval that holds each entry with a probability.

        Arguments:
            probability: between 0 and 1; 0.9 needs 19 draws.

        Raises:
            ValueError: it is no such number, or there are too few draws for it.
        """
        if not is_finite(probability) or not 0.0 < probability < 1.0:
            raise ValueError(f"interval expects a probability between 0 and 1; got {probability!r}")
        tail = (1.0 - probability) / 2.0
        return self.quantile(tail), self.quantile(1.0 - tail)

    @property
    def poor(self) -> Tensor:
        """Which data have too few effective samples to go by, of shape `[N]`, boolean."""
        return ~(self.ess >= _few(self.samples))

    def to_dict(self) -> dict[str, Any]:
        """Return all tensors by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def __str__(self) -> str:
        count, holes = len(self.ess), int(self.missing.sum())
        share = holes / max(1, self.missing.numel())
        return (
            f"{count} data, {holes} missing entries ({share:.1%}), {len(self.draws)} draws each\n"
            f"  effective samples   {float(self.ess.nanmean()):10.1f}  of {self.samples}, fewest "
            f"{float(self.ess.nan_to_num(nan=0.0).min()):.1f}"
        )


def joined(parts: list[Imputation]) -> Imputation:
    """Return the imputations of several batches as one."""
    tensors = {
        field.name: torch.cat([getattr(part, field.name) for part in parts])
        for field in fields(Imputation)
        if field.name not in ("draws", "codes", "samples")
    }
    codes = torch.stack([part.codes for part in parts]).any(0)
    draws = torch.cat([part.draws for part in parts], 1)
    return Imputation(draws=draws, codes=codes, samples=parts[0].samples, **tensors)


def least_draws(tail: float) -> int:
    """Return how many draws there must be for a quantile that leaves this tail.

    Example:
        >>> least_draws(0.05)
        19
    """
    return max(1, math.ceil(1.0 / tail - 1.0 - _ROUNDING))


@dataclass
class Tally:
    """What was imputed so far, and with what weights.

    Arguments:
        data: how many data.
        holes: how many of their entries were missing.
        poor: how many data had poor weights.
        smallest: the smallest effective sample size.
        samples: the number of draws of z for each datum.
    """

    data: int = 0
    holes: int = 0
    poor: int = 0
    smallest: float = math.inf
    samples: int = 0

    def add(self, made: Imputation) -> None:
        """Count an imputation."""
        self.data += len(made.ess)
        self.holes += int(made.missing.sum())
        self.poor += int(made.poor.sum())
        self.smallest = min(self.smallest, float(made.ess.nan_to_num(nan=0.0).min()))
        self.samples = made.samples

    def warn(self, *, stacklevel: int = 2) -> None:
        """Warn where the weights of too many data are poor."""
        if self.poor > _WARNED * self.data:
            warnings.warn(
                f"poor importance weights: {self.poor} of {self.data} data have fewer than "
                f"{_few(self.samples):g} effective samples of {self.samples}, the fewest "
                f"{self.smallest:.1f}, so that few z stand for p(z | x_known): imputed means are "
                f"rough, and draws too much alike; more samples help, or a posterior that comes "
                f"closer, such as one that was trained on data with as many holes",
                stacklevel=stacklevel + 1,
            )


def _few(samples: int) -> float:
    return min(_FEW, samples / 5)
