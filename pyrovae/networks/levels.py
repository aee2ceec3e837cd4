"""Levels: which columns are codes, and a vector for each code."""

import math
from itertools import accumulate

import torch
from torch import Tensor, nn
from torch.nn import functional

from pyrovae.networks.network import Network, Shape
from pyrovae.numeric import is_count, limit


def require_levels(network: Network, levels: tuple[int, ...]) -> tuple[int, ...]:
    """Return how many levels each column has as a tuple, 0 for a number; checked."""
    checked = tuple(levels) if isinstance(levels, list | tuple) else (levels,)
    wrong = [value for value in checked if not is_count(value, least=0)]
    if wrong:
        raise ValueError(
            f"{type(network).__name__} expects levels to be whole numbers{limit(wrong[0])}, one "
            f"for each column, 0 for a column of plain numbers; got {levels!r}"
        )
    return checked


class Columns(nn.Module):
    """The entries of a row in two groups, plain numbers, and codes as vectors.

    A code is rounded to the nearest whole number. One outside of its column's levels, one that is
    nan, and one that is said to be missing, get the column's vector for the unknown. This vector
    starts at zero; codes start at draws of a normal distribution of scale `1 / sqrt(width)`.

    Arguments:
        network: the description that asks, named in errors.
        levels: how many levels each entry has, 0 for a plain number; none at all is all numbers.
        in_shape: the shape of one row.
        width: the size of a code's vector.

    Raises:
        ValueError: there are not as many levels as entries.
    """

    numbers: Tensor
    codes: Tensor
    levels: Tensor
    starts: Tensor

    def __init__(
        self, network: Network, levels: tuple[int, ...], in_shape: Shape, width: int
    ) -> None:
        super().__init__()
        size = math.prod(in_shape)
        if levels and len(levels) != size:
            raise ValueError(
                f"{network!r} has levels for {len(levels)} columns, and its input of shape "
                f"{in_shape} has {size} entries; give one for each, 0 for a plain number"
            )
        several = levels or (0,) * size
        numbers = [at for at, count in enumerate(several) if count == 0]
        codes = [at for at, count in enumerate(several) if count > 0]
        self.counts = len(numbers), len(codes)
        self._own("numbers", numbers)
        self._own("codes", codes)
        if codes:
            found = [several[at] for at in codes]
            starts = list(accumulate((count + 1 for count in found), initial=0))[:-1]
            self._own("levels", found)
            self._own("starts", starts)
            self.vectors = nn.Parameter(torch.empty(sum(found) + len(found), width))
            with torch.no_grad():
                self.vectors.normal_(std=width**-0.5)
                unknown = [start + count for start, count in zip(starts, found, strict=True)]
                self.vectors[unknown] = 0.0

    def _own(self, name: str, values: list[int]) -> None:
        """Keep whole numbers where the parameters are; they follow from the shapes."""
        self.register_buffer(name, torch.tensor(values, dtype=torch.int64), persistent=False)

    def forward(self, value: Tensor, known: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the numbers `[rows, numbers]` and the vectors `[rows, codes, width]`.

        Arguments:
            value: `[rows, entries]`.
            known: which of them are known, None where all are.
        """
        if not self.counts[1]:
            return value, value.new_zeros(len(value), 0, 0)
        numbers = value.index_select(1, self.numbers)
        code = value.index_select(1, self.codes).round()
        valid = (code >= 0) & (code < self.levels)
        if known is not None:
            valid = valid & known.index_select(1, self.codes)
        rows = self.starts + torch.where(valid, code, self.levels).long()
        return numbers, functional.embedding(rows, self.vectors)

    def sorted(self, entries: Tensor) -> Tensor:
        """Return `[rows, entries]` with the numbers first, as `forward` returns them."""
        if not self.counts[1]:
            return entries
        return entries.index_select(1, torch.cat([self.numbers, self.codes]))
