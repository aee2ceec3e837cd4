"""Tables: rows of numbers as comma-separated text, with a name for each column."""

import csv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


class Table:
    """A `.csv` file that rows are added to, the names of its columns in the first line.

    Arguments:
        writer: writes lines.
        names: the name of the columns of each array, with `{}` for the place of a number in it.
    """

    def __init__(self, writer: Any, names: Mapping[str, str]) -> None:
        self._writer = writer
        self._names = names
        self._begun = False

    def add(self, rows: Mapping[str, Array]) -> None:
        """Add rows, of arrays by name; those that have no column name are left out."""
        chosen = {key: rows[key] for key in self._names if key in rows}
        if not self._begun:
            self._begun = True
            self._writer.writerow(
                [
                    name
                    for key, values in chosen.items()
                    for name in columns(self._names[key], values.shape[1:])
                ]
            )
        # as text, numbers keep the digits that tell them apart in their own precision
        flat = [values.reshape(len(values), -1).astype(str) for values in chosen.values()]
        self._writer.writerows(np.concatenate(flat, axis=1).tolist())


def columns(name: str, shape: tuple[int, ...]) -> list[str]:
    """Return a name for each number of an array.

    Arguments:
        name: what to call them, with `{}` for where it stands.
        shape: the shape of the array.

    Example:
        >>> columns("z{}", (3,)), columns("z{}", (1, 2)), columns("y", ())
        (['z0', 'z1', 'z2'], ['z0_0', 'z0_1'], ['y'])
    """
    places = product(*(range(size) for size in shape))
    return [name.format("_".join(map(str, place))) for place in places]


@contextmanager
def table_to(file: Path, names: Mapping[str, str]) -> Iterator[Table]:
    """Give a table to add to, which is written to a file.

    Arguments:
        file: the file, begun anew.
        names: see `Table`.
    """
    with file.open("w", encoding="utf-8", newline="") as opened:
        yield Table(csv.writer(opened, lineterminator="\n"), names)
