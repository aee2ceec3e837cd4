"""Written tables: what a model draws or makes of data, as a table with the columns of its data."""

import csv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyrovae.data import TableForm


class FormedTable:
    """A `.csv` file that rows are added to, in the form of the table that the data came from.

    Arguments:
        writer: writes lines.
        form: the columns.
        key: which array holds the rows.
    """

    def __init__(self, writer: Any, form: TableForm, *, key: str) -> None:
        self._writer = writer
        self._form = form
        self._key = key
        writer.writerow(form.names)

    def add(self, rows: Mapping[str, Any]) -> None:
        """Add rows, of arrays by name; only the key's array is written."""
        cells = self._form.cells(rows[self._key])
        self._writer.writerows(zip(*cells.values(), strict=True))


@contextmanager
def form_to(file: Path, form: TableForm | None, *, key: str) -> Iterator[FormedTable]:
    """Give a table to add to, which is written to a file.

    Arguments:
        file: the file, begun anew.
        form: the columns.
        key: which array holds the rows.

    Raises:
        ValueError: the data are no table.
    """
    if form is None:
        raise ValueError(f"{file} is to be a table, and the data of the run are none")
    with file.open("w", encoding="utf-8", newline="") as opened:
        yield FormedTable(csv.writer(opened, lineterminator="\n"), form, key=key)
