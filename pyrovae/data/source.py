"""Sources: data sets that are declared like any other part, and cut into splits."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from pyrovae.data.base import Data
from pyrovae.data.table_texts import TableForm
from pyrovae.declared import Declared
from pyrovae.numeric import is_count, is_seed

Role = Literal["train", "valid", "test"]


class Splits(NamedTuple):
    """The splits of a data set; one that was not asked for is None."""

    train: Data
    valid: Data | None
    test: Data | None


@dataclass(frozen=True)
class Suggestion:
    """The likelihood that suits a data set.

    Arguments:
        likelihood: the name of a class of `pyrovae.likelihoods`.
        arguments: its arguments beside the event shape.
        reason: why it suits, in words that follow "because".
    """

    likelihood: str
    arguments: dict[str, Any] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True)
class LabelForm:
    """What the label y of a datum is.

    Arguments:
        shape: the shape of one y, () for a number.
        levels: how many classes there are, of which y is the number; None where y are real numbers.
    """

    shape: tuple[int, ...] = ()
    levels: int | None = None


class Source(Declared, ABC):
    """A data set, declared by its constructor call; nothing is read before it is needed."""

    @property
    @abstractmethod
    def event_shape(self) -> tuple[int, ...]:
        """The shape of one x."""

    @property
    @abstractmethod
    def total_count(self) -> int | None:
        """The largest count, where x are counts with a common largest one; None otherwise."""

    @property
    @abstractmethod
    def suggestion(self) -> Suggestion:
        """The likelihood that suits, used where none is given."""

    @property
    def short_name(self) -> str:
        """One word for the data, after which the folders of runs are called."""
        return type(self).__name__.lower()

    @property
    def classes(self) -> tuple[str, ...]:
        """What the labels 0, 1, ... are called; empty where they have no names."""
        return ()

    @property
    def label_form(self) -> LabelForm | None:
        """What the labels are; None where the data have none."""
        return None

    @property
    def origin(self) -> "Source":
        """What the data are read from: itself, or the source that it changes the data of."""
        return self

    @property
    def form(self) -> TableForm | None:
        """How x is written as a table with the columns of this one; None where x is no table."""
        return None

    def described(self) -> list[str]:
        """Return what there is to know of the columns, a line for each; none where x is no table.

        It reads the data where they were not read yet.
        """
        return []

    def settled(self) -> "Source":
        """Return the same source with all written down that it finds out by looking at its data.

        So that a run reads other data as it read its own.
        """
        return self

    def like(self, other: "Source") -> "Source":
        """Return this source read as another one is, itself where there is nothing to take over."""
        return self

    @abstractmethod
    def load(self) -> Splits:
        """Read the data and cut them into splits, the same ones every time."""


class Rows(NamedTuple):
    """Which data each split takes: sorted, disjoint, and together all of them."""

    train: Tensor
    valid: Tensor
    test: Tensor


def split_rows(count: int, *, valid: int | float, test: int | float, seed: int) -> Rows:
    """Cut the numbers 0..count-1 at random, by a permutation that depends on `seed` alone.

    Arguments:
        count: how many data there are.
        valid: how many to validate on; a float is a share of all, rounded, but at least one datum.
        test: how many to test on, in the same way.
        seed: seeds the permutation.

    Raises:
        ValueError: nothing would be left to train on.

    Example:
        >>> [len(rows) for rows in split_rows(100, valid=0.1, test=25, seed=0)]
        [65, 10, 25]
    """
    kept = _share(count, valid), _share(count, test)
    if sum(kept) >= count:
        raise ValueError(
            f"{count} data cannot give {kept[0]} for validation and {kept[1]} for testing, since "
            f"none would be left to train on: lower valid={valid!r} or test={test!r}; "
            f"0 leaves a split out"
        )
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    ends = count - sum(kept), count - kept[1]
    parts = order[: ends[0]], order[ends[0] : ends[1]], order[ends[1] :]
    return Rows(*(part.sort().values for part in parts))


def cut(rows: Rows, part: Callable[[str, Tensor], Data]) -> Splits:
    """Make each split from its rows by `part(name, rows)`; one without rows is None."""
    return Splits(
        train=part("training", rows.train),
        valid=part("validation", rows.valid) if len(rows.valid) else None,
        test=part("test", rows.test) if len(rows.test) else None,
    )


def _share(count: int, part: int | float) -> int:
    if isinstance(part, int):
        return part
    return max(1, round(part * count)) if part > 0.0 else 0


def check_part(source: Source, name: str, value: int | float, *, shares: bool = False) -> None:
    """Raise where the size of a split is neither a count nor, if allowed, a share in [0, 1)."""
    whole = is_count(value, least=0)
    share = shares and isinstance(value, float) and 0.0 <= value < 1.0
    if not (whole or share):
        expected = "a count of data or a share of them in [0, 1)" if shares else "a count of data"
        raise ValueError(
            f"{type(source).__name__} expects {name} to be {expected}, 0 for no such split; "
            f"got {value!r}"
        )


def check_seed(source: Source, seed: int) -> None:
    """Raise where a seed is not an integer that torch accepts."""
    if not is_seed(seed):
        raise ValueError(
            f"{type(source).__name__} expects seed to be an integer from 0 to 2**63 - 1; "
            f"got {seed!r}"
        )
