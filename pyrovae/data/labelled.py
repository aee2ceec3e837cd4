"""Labelled data: which labels are known, and data of which some labels are kept."""

from collections.abc import Iterator
from dataclasses import replace
from math import nan

import torch
from torch import Tensor

from pyrovae.data.base import UNLABELLED, Data, Epoch
from pyrovae.data.tensors import TensorData


class LabelledData(Data):
    """One split of which labels are kept in part, or rows are read repeatedly.

    Arguments:
        data: the split, with all its labels.
        kept: which data keep their labels, boolean, of shape `[N]`; None for all.
        rows: which datum each row is, of shape `[M]`; None reads each datum once. The `index` in a
            batch is that of the datum, and so comes as often as it is read.

    Raises:
        TypeError: the data are a stream.
    """

    def __init__(
        self, data: Data, *, kept: Tensor | None = None, rows: Tensor | None = None
    ) -> None:
        if not data.sized:
            raise TypeError(f"LabelledData expects data of a known number; got the stream {data!r}")
        self.data = data
        self.kept = kept
        self.rows = rows
        self.description = data.description

    def __repr__(self) -> str:
        return f"LabelledData({self.data!r}, {len(self)} rows)"

    def __len__(self) -> int:
        return len(self.data) if self.rows is None else len(self.rows)

    @property
    def event_shape(self) -> tuple[int, ...]:
        return self.data.event_shape

    @property
    def keys(self) -> tuple[str, ...]:
        return self.data.keys

    def labels(self) -> Tensor | None:
        y = self.data.labels()
        if y is not None and self.kept is not None:
            y = without(y, self.kept.to(y.device))
        return y if y is None or self.rows is None else y[self.rows]

    def _read(self, epoch: Epoch) -> Iterator[dict[str, Tensor]]:
        order = epoch.order
        if self.rows is not None:
            order = self.rows if order is None else self.rows[order]
        for batch in self.data._read(replace(epoch, order=order)):
            if self.kept is None:
                yield batch
                continue
            self.kept = self.kept.to(batch["index"].device)  # once, and no wait in a step
            yield {**batch, "y": without(batch["y"], self.kept[batch["index"]])}


def is_known(y: Tensor) -> Tensor:
    """Return which rows of labels are known, boolean, of shape `[N]`.

    Example:
        >>> is_known(torch.tensor([2, -1])).tolist(), is_known(torch.tensor([nan, 0.5])).tolist()
        ([True, False], [False, True])
    """
    if not y.is_floating_point():
        return y != UNLABELLED
    known = ~y.isnan()
    return known.flatten(1).all(1) if known.dim() > 1 else known


def keeping(data: Data, kept: Tensor) -> Data:
    """Return data with some of their labels, held where the data are."""
    if not isinstance(data, TensorData):
        return LabelledData(data, kept=kept)
    tensors = {**data.tensors, "y": without(data.tensors["y"], kept)}
    return TensorData(tensors, transform=data.transform, description=data.description)


def without(y: Tensor, kept: Tensor) -> Tensor:
    """Return labels, unknown where they are not kept.

    Example:
        >>> without(torch.tensor([3, 4]), torch.tensor([False, True])).tolist()
        [-1, 4]
    """
    rows = kept.reshape(-1, *(1,) * (y.dim() - 1))
    return torch.where(rows, y, torch.full((), nan if y.is_floating_point() else UNLABELLED).to(y))
