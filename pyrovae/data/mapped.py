"""Data on the disk: arrays that NumPy maps from files, read a batch at a time.

A batch reads its own rows and no others, so the arrays may be larger than memory.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pyrovae.data.base import Data, Epoch, floating
from pyrovae.data.checks import as_tensor, checked, checked_labels
from pyrovae.data.transforms import check_transform, transformed


class MappedData(Data):
    """One split of arrays that stay in their files, such as `numpy.load(path, mmap_mode="r")`.

    Keys, kinds and shapes are checked at once, and all labels, which are held in memory. Whether
    the numbers of x are finite is checked in every batch when it is read.

    Arguments:
        arrays: "x" of shape `[N, *event_shape]`, and optionally "y" (class codes of shape `[N]`,
            -1 for unknown, or floating numbers `[N, *shape]`, NaN for unknown) and "observed" of
            the shape of x, as NumPy arrays; Fortran's order, in which a row is scattered over the
            file, is read slowly.
        rows: which rows of the arrays the split takes, of shape `[M]`; None takes all.
        transform: maps the dict of a batch to a new one, such as `Binarize()`.
        description: what the data are, in words.

    Raises:
        TypeError: a value is no numeric array, or of the wrong kind of number.
        ValueError: a key, a shape or a value is wrong.

    Example:
        >>> data = MappedData({"x": np.array([[3, 4], [5, 6], [7, 8]])}, rows=torch.tensor([2, 0]))
        >>> next(data.batches(batch_size=2))["x"].tolist()
        [[7.0, 8.0], [3.0, 4.0]]
    """

    def __init__(
        self,
        arrays: Mapping[str, Any],
        *,
        rows: Tensor | None = None,
        transform: Callable[[dict[str, Tensor]], dict[str, Tensor]] | None = None,
        description: str = "",
    ) -> None:
        check_transform(self, transform)
        held = {key: _array(key, value) for key, value in arrays.items() if value is not None}
        self.arrays = {key: value for key, value in held.items() if key != "y"}
        self.transform = transform
        self.description = description
        checked({key: value[:1] if value.ndim else value for key, value in held.items()})
        _check_shapes(held)
        x = self.arrays["x"]
        self._labels = checked_labels(as_tensor("y", held["y"])) if "y" in held else None
        self.rows = torch.arange(len(x)) if rows is None else rows
        with torch.random.fork_rng(devices=[]):
            first = self._gather(torch.zeros(1, dtype=torch.int64), None)
        self._event_shape = tuple(first["x"].shape[1:])

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{key}: {value.dtype}{list(value.shape)}" for key, value in self.arrays.items()
        )
        return f"MappedData({{{shown}}}, {len(self)} rows, transform={self.transform!r})"

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def event_shape(self) -> tuple[int, ...]:
        return self._event_shape

    @property
    def keys(self) -> tuple[str, ...]:
        labels = () if self._labels is None else ("y",)
        masks = ("observed",) if "observed" in self.arrays else ()
        return ("x", *labels, *masks, "index")

    def labels(self) -> Tensor | None:
        return None if self._labels is None else self._labels[self.rows]

    def _gather(self, index: Tensor, device: torch.device | None) -> dict[str, Tensor]:
        rows = self.rows[index]
        taken = {key: np.asarray(value)[rows.numpy()] for key, value in self.arrays.items()}
        try:
            batch = checked(taken)
        except ValueError as error:
            raise ValueError(f"{self._first_bad(rows)}: {error}") from error
        if self._labels is not None:
            batch = {"x": batch["x"], "y": self._labels[rows], **batch}
        batch["index"] = index
        if device is not None:
            batch = {key: value.to(device, non_blocking=True) for key, value in batch.items()}
        batch = transformed(batch, self.transform)
        return {**batch, "x": floating(batch["x"])}

    def _first_bad(self, rows: Tensor) -> str:
        """Return in words which row of the arrays is the first that cannot be read as data."""
        for row in rows.tolist():
            try:
                checked({key: value[row : row + 1] for key, value in self.arrays.items()})
            except ValueError:
                return f"row {row} of {self.description or 'the arrays'}"
        return "a batch"

    def _read(self, epoch: Epoch) -> Iterator[dict[str, Tensor]]:
        order = torch.arange(len(self)) if epoch.order is None else epoch.order
        size = epoch.batch_size
        for first in range(epoch.start * size, len(order), size):
            yield self._gather(order[first : first + size].clone(), epoch.device)


def _array(key: str, value: object) -> np.ndarray[Any, Any]:
    if isinstance(value, Tensor):
        return value.detach().cpu().numpy()
    if isinstance(value, np.ndarray):
        return value
    raise TypeError(
        f"MappedData expects arrays, as numpy.load(path, mmap_mode='r') returns them; got {key} as "
        f"{type(value).__name__}: convert it with numpy.asarray"
    )


def _check_shapes(arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
    shape = arrays["x"].shape
    for key, value in arrays.items():
        expected = shape[:1] if key == "y" else shape
        if value.shape[: len(expected)] != expected or (key != "y" and value.shape != shape):
            raise ValueError(
                f"{key} must be of shape {expected} beside x of shape {shape}; got {value.shape}"
            )
