"""Conversion: whatever a user calls data, as `Data`."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, TensorDataset

from pyrovae.data.base import Data
from pyrovae.data.datasets import DatasetData
from pyrovae.data.frames import is_frame
from pyrovae.data.mapped import MappedData
from pyrovae.data.source import Source, Splits
from pyrovae.data.sparse import SparseData, is_sparse
from pyrovae.data.table import Table
from pyrovae.data.tensors import TensorData

DataLike = Data | Source | Tensor | np.ndarray[Any, Any] | Mapping[str, Any] | Dataset[Any]


def as_data(given: DataLike) -> Data:
    """Return data from a tensor, an array, a dict of them, a torch `Dataset` or a source.

    `Data` are returned as they are, a `Source` gives its training split, and a `TensorDataset`
    of x or (x, y) is read as the tensors it holds. An x that NumPy maps from a file, by
    `numpy.load(path, mmap_mode="r")`, stays there and is read a batch at a time; one that SciPy
    holds sparse is made dense a batch at a time. A data frame of pandas is read as `Table.of` reads
    it.

    Arguments:
        given: the data.

    Raises:
        TypeError: data of an unknown kind.
        ValueError: a key, a shape or a value is wrong.

    Example:
        >>> as_data(np.zeros((5, 3))).event_shape
        (3,)
        >>> as_data({"X": np.zeros((5, 3))})
        Traceback (most recent call last):
        ValueError: data have the keys x, y, observed; got 'X'; did you mean 'x'?
    """
    if isinstance(given, Data):
        return given
    if isinstance(given, Source):
        return given.load().train
    if is_sparse(given):
        return SparseData(given)
    if isinstance(given, np.memmap):
        return MappedData({"x": given})
    if isinstance(given, Tensor | np.ndarray):
        return TensorData({"x": given})
    if isinstance(given, Mapping):
        if is_sparse(given.get("x")):
            return _sparse(given)
        mapped = isinstance(given.get("x"), np.memmap)
        return MappedData(given) if mapped else TensorData(given)
    if isinstance(given, TensorDataset) and len(given.tensors) <= 2:
        return TensorData(dict(zip(("x", "y"), given.tensors, strict=False)))
    if is_frame(given):
        return Table.of(given, valid=0, test=0).load().train
    if isinstance(given, Dataset):
        return DatasetData(given)
    raise TypeError(
        f"data must be a tensor, an array, a dict with the keys x, y and observed, a torch "
        f"Dataset or a source; got {type(given).__name__}{_remedy(given)}"
    )


def _sparse(given: Mapping[str, Any]) -> SparseData:
    others = sorted(set(given) - {"x", "y"})
    if others:
        raise ValueError(
            f"beside a sparse x there may be labels 'y' and nothing else; got {', '.join(others)}: "
            f"give a dense x, x.toarray()"
        )
    return SparseData(given["x"], y=given.get("y"))


def _remedy(given: object) -> str:
    if given is None:
        return ": a split of no data is None, load them with room for it (valid=..., test=...)"
    if isinstance(given, DataLoader):
        return ": pass its dataset, loader.dataset"
    if isinstance(given, str):
        return f": read it with pyrovae.data.load({given!r})"
    if isinstance(given, Splits):
        return ": pass one of them, such as splits.train"
    if isinstance(given, type) and issubclass(given, Source):
        return f": call it, {given.__name__}()"
    if isinstance(given, tuple):
        return ": name its parts, {'x': x, 'y': y}"
    if hasattr(given, "to_numpy"):
        return ": convert it with .to_numpy()"
    return ": convert it with torch.as_tensor or numpy.asarray"
