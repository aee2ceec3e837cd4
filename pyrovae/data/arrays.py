"""Arrays in NumPy's own files, `.npy` and `.npz`."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor

from pyrovae.data.array_files import (
    SUFFIXES,
    map_file,
    names_in,
    read_arrays,
    read_file,
    read_shape,
)
from pyrovae.data.base import Data
from pyrovae.data.checks import as_tensor, checked, checked_labels
from pyrovae.data.labelling import check_budget, form_of, within_budget
from pyrovae.data.levels import LEVELS_REASON, byte_levels
from pyrovae.data.mapped import MappedData
from pyrovae.data.pictures import MEMORY
from pyrovae.data.source import (
    LabelForm,
    Source,
    Splits,
    Suggestion,
    check_part,
    check_seed,
    cut,
    split_rows,
)
from pyrovae.data.tensors import TensorData

_LEVELS = 255
_IMAGES = (2, 3)  # dimensions of one x that is taken for an image, where it holds bytes
_NUMBERS = 2**20  # looked at in one go, which is what a look at the values costs in memory
_CHUNKS = 4  # looked at of a file that is not held in memory


@final
class Arrays(Source):
    """The data in a `.npy` or `.npz` file; the latter may hold labels and a mask as well.

    In an `.npz` the array `key` is x, of shape `[N, *event_shape]`; arrays called `y` (class codes
    of shape `[N]`, -1 for unknown, or floating numbers `[N, *shape]`, NaN for unknown) and
    `observed` (which entries of x are known) are taken along when present, and others are ignored.
    There are as many classes as the largest code says. Python objects are never unpickled.

    A `.npy` file of more than 2 GiB stays on the disk and is read row by row, so it may be larger
    than memory: each batch is checked when it is read, and the likelihood is suggested by the first
    rows. An `.npz` file is always read whole.

    Arguments:
        path: the file.
        valid: what to validate on, a count of data, or a float as a share of them; 0 for none.
        test: what to test on, in the same way.
        seed: seeds the permutation that splits the data.
        key: which array of an `.npz` is x.
        labels: how many labels of the training data to keep, equally many of each class; the
            others, and those of the validation data, become unknown. None keeps all.
        labels_seed: chooses them.
        labelled_share: repeats labelled rows a whole number of times, to be about this share of
            the training rows, and so of a batch; None reads each once.

    Raises:
        ValueError: the path has another suffix, or a number is out of range.

    Example:
        >>> Arrays("measured.npz", valid=0)
        Arrays('measured.npz', valid=0)
    """

    def __init__(
        self,
        path: str = "",
        *,
        valid: int | float = 0.1,
        test: int | float = 0.1,
        seed: int = 0,
        key: str = "x",
        labels: int | None = None,
        labels_seed: int = 0,
        labelled_share: float | None = None,
    ) -> None:
        self.path = str(path)
        self.valid = valid
        self.test = test
        self.seed = seed
        self.key = key
        self.labels = labels
        self.labels_seed = labels_seed
        self.labelled_share = labelled_share
        check_part(self, "valid", valid, shares=True)
        check_part(self, "test", test, shares=True)
        check_seed(self, seed)
        check_budget(self)
        if self.path and self._file.suffix.lower() not in SUFFIXES:
            raise ValueError(
                f"Arrays expects the path of a {' or '.join(SUFFIXES)} file; got {self.path!r}"
            )

    @property
    def event_shape(self) -> tuple[int, ...]:
        shape = read_shape(self._file, self.key)
        if not shape:
            raise ValueError(f"{self.path} holds a single number; expected x of shape [N, ...]")
        return shape[1:]

    @property
    def total_count(self) -> int | None:
        found: int | None = self.suggestion.arguments.get("total_count")
        return found

    @property
    def label_form(self) -> LabelForm | None:
        file = self._file
        if self.key == "y" or "y" not in names_in(file):
            return None
        y = read_arrays(file, ["y"])["y"]
        try:
            return form_of(checked_labels(as_tensor("y", y)))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{self.path}: {error}") from error

    @property
    def suggestion(self) -> Suggestion:
        binary = counts = True
        values = "values"
        on_disk = self._stays_on_disk
        arrays: Mapping[str, Any] = {"x": map_file(self._file)} if on_disk else self._read()
        x, found = arrays["x"], _known_values(arrays)
        if on_disk:
            found = itertools.islice(found, _CHUNKS)
            values = f"values of the first {min(len(x), _CHUNKS * _rows(x.shape))} rows"
        for known in found:
            binary = binary and bool(((known == 0) | (known == 1)).all())
            whole = known == known.round()
            counts = counts and bool(((known >= 0) & (known <= _LEVELS) & whole).all())
            if not (binary or counts):
                break
        if binary:
            return Suggestion(likelihood="Bernoulli", reason=f"all {values} are 0 or 1")
        if counts and str(x.dtype).endswith("uint8") and x.ndim - 1 in _IMAGES:
            return byte_levels(f"x are bytes in {x.ndim - 1} dimensions: {LEVELS_REASON}")
        if counts:
            return Suggestion(
                likelihood="Binomial",
                arguments={"total_count": _LEVELS},
                reason=f"all {values} are integers within 0..{_LEVELS}",
            )
        return Suggestion(
            likelihood="Normal",
            arguments={"scale": "shared"},
            reason=f"the {values} are neither 0 or 1 nor integers within 0..{_LEVELS}",
        )

    def load(self) -> Splits:
        if self._stays_on_disk:
            return self._load_mapped()
        tensors = self._read()
        rows = split_rows(len(tensors["x"]), valid=self.valid, test=self.test, seed=self.seed)

        def part(name: str, chosen: Tensor) -> Data:
            taken = {key: value[chosen] for key, value in tensors.items()}
            return TensorData(taken, description=f"{self._file.name}: {name}")

        return within_budget(self, cut(rows, part))

    def _load_mapped(self) -> Splits:
        arrays = {"x": map_file(self._file)}
        try:
            count = len(MappedData(arrays))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{self.path}: {error}") from error
        rows = split_rows(count, valid=self.valid, test=self.test, seed=self.seed)

        def part(name: str, chosen: Tensor) -> Data:
            return MappedData(arrays, rows=chosen, description=f"{self._file.name}: {name}")

        return within_budget(self, cut(rows, part))

    @property
    def _stays_on_disk(self) -> bool:
        file = self._file
        large = file.suffix.lower() == ".npy" and file.is_file()
        return large and file.stat().st_size > MEMORY

    @property
    def _file(self) -> Path:
        if not self.path:
            raise ValueError("Arrays needs the path of a file: Arrays('data.npz')")
        return Path(self.path).expanduser()

    def _read(self) -> dict[str, Tensor]:
        arrays = read_file(self._file, self.key)
        try:
            return checked(arrays)
        except (TypeError, ValueError) as error:  # an array of text, too, is a fault of the file
            raise ValueError(f"{self.path}: {error}") from error


def _rows(shape: Sequence[int]) -> int:
    """Return how many rows are looked at in one go."""
    return max(1, _NUMBERS // max(1, math.prod(shape[1:])))


def _known_values(arrays: Mapping[str, Any]) -> Iterator[Tensor]:
    """Yield the known values of x, some rows at a time."""
    x = arrays["x"]
    for first in range(0, len(x), _rows(x.shape)):
        rows = slice(first, first + _rows(x.shape))
        values = as_tensor("x", x[rows])
        known = values[arrays["observed"][rows]] if "observed" in arrays else values
        yield known.to(torch.float64)
