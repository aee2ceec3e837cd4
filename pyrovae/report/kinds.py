"""Kinds: how data of a shape are shown: as pictures, as curves, as columns of a table."""

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import interpolate

Kind = Literal["image", "curve", "table", "pair", "number"]
Shape = tuple[int, ...]

COLUMNS = 12  # a table has at most so many; longer vectors are curves
TILE = 96  # pixels along the longer side of one picture; larger ones are made smaller
_CHANNELS = 4  # pictures of other numbers of channels than 1 and 3 show so many side by side


def kind_of(shape: Shape) -> Kind:
    """Return how one x of a shape is shown.

    Example:
        >>> [kind_of(shape) for shape in [(1, 8, 8), (20, 30), (32,), (5,), (2,), (1,), ()]]
        ['image', 'image', 'curve', 'table', 'pair', 'number', 'number']
    """
    size = math.prod(shape)
    if len(shape) in (2, 3) and min(shape[-2:]) > 1 and max(shape[-2:]) > 2:
        return "image"
    if size == 1:
        return "number"
    if size == 2:
        return "pair"
    return "table" if size <= COLUMNS else "curve"


def tiles(x: Tensor) -> Tensor:
    """Return data as small pictures `[n, channels, height, width]`, with one or three channels.

    Arguments:
        x: data of an image's shape, `[n, height, width]` or `[n, channels, height, width]`; nan
            where they are missing.
    """
    x = x.detach().float()
    if x.dim() == 3:
        x = x.unsqueeze(1)
    if x.shape[1] not in (1, 3):
        x = torch.cat(list(x[:, :_CHANNELS].unbind(1)), dim=-1).unsqueeze(1)
    height, width = x.shape[-2:]
    if max(height, width) <= TILE:
        return x
    factor = TILE / max(height, width)
    size = (max(1, round(height * factor)), max(1, round(width * factor)))
    return interpolate(x, size=size, mode="area")


@dataclass(frozen=True)
class Levels:
    """The values shown as black and as white.

    Arguments:
        low: black.
        high: white.
    """

    low: float
    high: float

    def unit(self, x: Tensor) -> Tensor:
        """Return values between 0 and 1, nan where they are missing."""
        return ((x - self.low) / ((self.high - self.low) or 1.0)).clamp(0.0, 1.0)


def levels_of(likelihood: Any, *shown: Tensor | None) -> Levels:
    """Return the levels for data under a likelihood: what it bounds, else what the data span.

    Arguments:
        likelihood: the likelihood, or anything.
        *shown: data to be shown, the first that is not None counts.

    Example:
        >>> levels_of(None, None, torch.tensor([-3.0, float("nan"), 5.0]))
        Levels(low=-3.0, high=5.0)
    """
    count = getattr(likelihood, "total_count", None)
    if isinstance(count, int):
        return Levels(0.0, float(count))
    for x in shown:
        if x is not None:
            known = x[x.isfinite()]
            if len(known):
                low, high = float(known.min()), float(known.max())
                unit = low >= 0.0 and 0.5 < high <= 1.0
                return Levels(0.0, 1.0) if unit else Levels(low, high)
    return Levels(0.0, 1.0)
