"""Sparse data: a matrix that is mostly zero, made dense a batch at a time."""

import sys
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from pyrovae.data.base import Data, Epoch, floating
from pyrovae.data.checks import as_tensor, checked_labels
from pyrovae.data.transforms import check_transform, transformed


class SparseData(Data):
    """One split of a sparse matrix, of which only the rows of a batch are ever dense.

    What is held are the entries that are not zero, with their columns. They are moved to the device
    as they are, and made dense there.

    Arguments:
        matrix: a matrix or an array of SciPy, of shape `[N, K]`, of which each row is an x.
        y: class codes of shape `[N]`, -1 for unknown, or floating numbers `[N, *shape]`, NaN for
            unknown.
        rows: which rows the split takes, of shape `[M]`; None takes all.
        transform: maps the dict of a batch to a new one.
        description: what the data are, in words.

    Raises:
        TypeError: the matrix is not sparse or its numbers are not real.
        ValueError: the matrix is empty, holds numbers that are not finite, or is damaged, or the
            labels are not one for each row.

    Example:
        >>> from scipy.sparse import csr_matrix
        >>> data = SparseData(csr_matrix([[0, 2, 0], [1, 0, 3]]))
        >>> next(data.batches(batch_size=2))["x"].tolist()
        [[0.0, 2.0, 0.0], [1.0, 0.0, 3.0]]
    """

    def __init__(
        self,
        matrix: Any,
        *,
        y: Any = None,
        rows: Tensor | None = None,
        transform: Callable[[dict[str, Tensor]], dict[str, Tensor]] | None = None,
        description: str = "",
    ) -> None:
        check_transform(self, transform)
        if not is_sparse(matrix) or matrix.ndim != 2:
            raise TypeError(
                f"SparseData expects a sparse matrix of SciPy in two dimensions; got "
                f"{type(matrix).__name__}: dense data are read as they are"
            )
        compressed = _compressed(matrix)
        count, self._columns_count = compressed.shape
        self._values = as_tensor("x", compressed.data)
        self._columns = torch.from_numpy(compressed.indices)
        self._starts = torch.from_numpy(compressed.indptr).long()
        self._labels = None if y is None else checked_labels(as_tensor("y", y))
        if self._labels is not None and len(self._labels) != count:
            raise ValueError(
                f"y must be one label for each of {count} rows of x; got {len(self._labels)}"
            )
        _check_finite(self._values, self._columns, self._starts)
        self.rows = torch.arange(count) if rows is None else rows
        self.transform = transform
        self.description = description
        with torch.random.fork_rng(devices=[]):
            first = self._gather(torch.zeros(1, dtype=torch.int64), None)
        self._event_shape = tuple(first["x"].shape[1:])

    def __repr__(self) -> str:
        dtype = str(self._values.dtype).removeprefix("torch.")
        return (
            f"SparseData({dtype}[{len(self)}, {self._columns_count}], "
            f"{len(self._values)} entries in {len(self._starts) - 1} rows, "
            f"transform={self.transform!r})"
        )

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def event_shape(self) -> tuple[int, ...]:
        return self._event_shape

    @property
    def keys(self) -> tuple[str, ...]:
        return ("x", "index") if self._labels is None else ("x", "y", "index")

    def labels(self) -> Tensor | None:
        return None if self._labels is None else self._labels[self.rows]

    def taking(self, rows: Tensor, *, description: str = "") -> "SparseData":
        """Return a split of some of the rows; both hold the same entries, once.

        Arguments:
            rows: which rows of the matrix it takes.
            description: what the data are, in words.
        """
        other = object.__new__(SparseData)  # already checked
        other.__dict__.update(self.__dict__, rows=rows, description=description)
        return other

    def _gather(self, index: Tensor, device: torch.device | None) -> dict[str, Tensor]:
        rows = self.rows[index]
        first = self._starts[rows]
        lengths = self._starts[rows + 1] - first
        # which of all entries: those of a row follow one another from its first on
        before = lengths.cumsum(0) - lengths
        entries = torch.arange(int(lengths.sum())) + (first - before).repeat_interleave(lengths)
        places = self._columns[entries].long()
        places += (torch.arange(len(rows)) * self._columns_count).repeat_interleave(lengths)
        values = floating(self._values[entries])
        batch = {"index": index}
        if self._labels is not None:
            batch["y"] = self._labels[rows]
        if device is not None:
            values, places = (tensor.to(device, non_blocking=True) for tensor in (values, places))
            batch = {key: value.to(device, non_blocking=True) for key, value in batch.items()}
        x = values.new_zeros(len(rows) * self._columns_count)
        x[places] = values
        batch = {"x": x.reshape(len(rows), self._columns_count), **batch}
        batch = transformed({key: batch[key] for key in self.keys}, self.transform)
        return {**batch, "x": floating(batch["x"])}

    def _read(self, epoch: Epoch) -> Iterator[dict[str, Tensor]]:
        order = torch.arange(len(self)) if epoch.order is None else epoch.order
        size = epoch.batch_size
        for first in range(epoch.start * size, len(order), size):
            yield self._gather(order[first : first + size].clone(), epoch.device)


def is_sparse(value: object) -> bool:
    """Return whether a value is a sparse matrix of SciPy, without importing SciPy.

    Example:
        >>> is_sparse(torch.zeros(2, 2))
        False
    """
    scipy = sys.modules.get("scipy.sparse")
    return scipy is not None and bool(scipy.issparse(value))


def _compressed(matrix: Any) -> Any:
    """Return a matrix in compressed rows, checked, with one entry for each place at most."""
    if 0 in matrix.shape:
        raise ValueError(f"data must not be empty; got x of shape {matrix.shape}")
    if matrix.dtype.kind not in "biuf":
        raise TypeError(f"x must hold booleans, integers or floating numbers; got {matrix.dtype}")
    if matrix.format in ("csr", "csc"):
        matrix.check_format(full_check=True)  # or a place outside would be written to
    compressed = matrix.tocsr()
    if not compressed.has_canonical_format:
        compressed = compressed.copy()
        compressed.sum_duplicates()
    return compressed


def _check_finite(values: Tensor, columns: Tensor, starts: Tensor) -> None:
    """Raise where an entry is not a finite number, and say where it stands."""
    if not values.is_floating_point() or bool(values.isfinite().all()):
        return
    at = int(torch.nonzero(~values.isfinite())[0])
    raise ValueError(f"x must be finite; got {place_of(at, columns, starts)} = {values[at]:g}")


def place_of(at: int, columns: Tensor, starts: Tensor) -> str:
    """Return in words the place of an entry, such as x[3, 17].

    Arguments:
        at: the number of the entry.
        columns: the column of each entry.
        starts: where each row begins.
    """
    row = int(torch.searchsorted(starts, torch.tensor(at), right=True)) - 1
    return f"x[{row}, {int(columns[at])}]"
