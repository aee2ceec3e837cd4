"""Held-out data: what a report shows of a model beside what the model draws by itself."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pyrovae.config import dump, from_tree
from pyrovae.data import Data, DataLike, Source, Splits, as_data, source_for
from pyrovae.report.reading import RunRecord

SPLITS = ("train", "valid", "test")
_WORDS = {"train": "training", "valid": "validation", "test": "test"}


@dataclass(frozen=True)
class HeldOut:
    """The data of a report, or why there are none.

    Arguments:
        data: the data.
        name: what they are, in words.
        columns: what the columns of x are called, where they are those of a table.
        absent: why there are none.
    """

    data: Data | None = None
    name: str = ""
    columns: tuple[str, ...] = ()
    absent: str = ""


class Library:
    """Finds the held-out data of runs; those of the last run are kept for the next of the same.

    Arguments:
        given: data to use for all runs in place of their own: a name, a source, a split, or
            whatever `as_data` takes; None for each run's own.
        split: the split of a source that is taken.
        allow: packages beside pyrovae whose classes the runs may name.

    Raises:
        TypeError: data of an unknown kind.
        ValueError: the split is none of the three.
    """

    def __init__(self, given: DataLike | str | None, *, split: str, allow: Iterable[str]) -> None:
        if split not in SPLITS:
            raise ValueError(f"split expects one of {', '.join(SPLITS)}; got {split!r}")
        self.split = split
        self.allow = tuple(allow)
        self._last: tuple[str, HeldOut] | None = None
        self._given: HeldOut | None = None
        self._other: Source | None = None
        if isinstance(given, str):
            given = source_for(given)
        if isinstance(given, Source):
            self._other = given
        elif given is not None:
            data = as_data(given)
            described = f": {data.description}" if data.description else ""
            self._given = HeldOut(data, f"{_count(data)}data{described}")

    def of(self, record: RunRecord) -> HeldOut:
        """Return the held-out data of a run; a source that was given is read as its own was.

        Raises:
            ValueError: the given data cannot be read so, or have no such split.
            OSError: their file cannot be read.
        """
        if self._given is not None:
            return self._given
        tree = (record.config or {}).get("data")
        if self._other is not None:
            return self._read(self._other, tree)
        if tree is None:
            return HeldOut(absent="the run names no data; give some by `--data NAME`")
        try:
            key = dump(tree)
            if self._last is None or self._last[0] != key:
                source: Source = from_tree(tree, allow=self.allow, expected=Source, path="data")
                self._last = key, self._chosen(source)
        except Exception as error:  # a source of the user's own may raise anything
            said = f"{error}" or type(error).__name__
            return HeldOut(absent=f"the data cannot be read ({said}); give others by `--data NAME`")
        return self._last[1]

    def _read(self, other: Source, tree: Any) -> HeldOut:
        """Return the split of a source in place of the one that a run's tree declares."""
        own = other
        with suppress(Exception):  # a run whose own source is unknown: there is nothing to go by
            own = from_tree(tree, allow=self.allow, expected=Source, path="data")
        other = other.like(own)
        key = repr(other)
        if self._last is None or self._last[0] != key:
            self._last = key, self._chosen(other)
        if self._last[1].data is None:
            raise ValueError(self._last[1].absent)
        return self._last[1]

    def _chosen(self, source: Source) -> HeldOut:
        """Return the split that was asked for; validation data stand in for absent test data."""
        splits: Splits = source.load()
        wanted = (self.split, "valid") if self.split == "test" else (self.split,)
        for name in wanted:
            data = getattr(splits, name)
            if data is not None:
                form = source.form
                return HeldOut(
                    data,
                    f"{_count(data)}{_WORDS[name]} data, {source!r}",
                    columns=tuple(form.names_of_x) if form else (),
                )
        kept = " or ".join(name for name in SPLITS if getattr(splits, name) is not None)
        return HeldOut(absent=f"{source!r} keeps no {self.split} split; choose `--split {kept}`")


def _count(data: Data) -> str:
    return f"{len(data)} " if data.sized else ""
