"""Texts of tables: numbers of a model as the cells of a table again."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from pyrovae.data.cells import number
from pyrovae.data.columns import CODED, Column
from pyrovae.data.frames import frame_of_cells
from pyrovae.data.schema import Schema

Array = np.ndarray[Any, Any]


class TableForm:
    """How the columns of a table are written from the numbers in x.

    Whole numbers are rounded and codes are their levels. Columns that were constant are as they
    were, and those that were left out, or are y, are absent.

    Arguments:
        schema: the columns.
        dtypes: what pandas calls the columns, where they came from a data frame.

    Example:
        >>> from pyrovae.data.columns import columns_from
        >>> columns = columns_from({"grade": ["low", "high"], "age": "count", "weight": "real"})
        >>> form = TableForm(Schema(tuple(columns.values())))
        >>> form.cells(np.array([[61.5, 40.2, 1.0]], dtype=np.float32))
        {'grade': ['high'], 'age': ['40'], 'weight': ['61.5']}
    """

    def __init__(self, schema: Schema, *, dtypes: Mapping[str, Any] | None = None) -> None:
        self.schema = schema
        self.dtypes = dtypes
        self.columns = [
            column for column in schema.columns if column.kind not in ("ignore", "label", "target")
        ]

    @property
    def names(self) -> list[str]:
        """The columns, in the order of the table."""
        return [column.name for column in self.columns]

    @property
    def names_of_x(self) -> list[str]:
        """The columns that are modelled, in the order of the columns of x."""
        return [column.name for column in self.schema.of_x]

    def cells(self, x: Array, observed: Array | None = None) -> dict[str, list[str]]:
        """Return texts by column, empty where a cell is not observed.

        Arguments:
            x: numbers `[N, columns]`, as the source gives them.
            observed: which of them are known, None for all.

        Raises:
            ValueError: x is of another shape.
        """
        of_x = self.schema.of_x
        if x.ndim != 2 or x.shape[1] != len(of_x):
            raise ValueError(
                f"the table has {len(of_x)} columns in x; expected shape [N, {len(of_x)}], and "
                f"got {list(x.shape)}"
            )
        seen = np.isfinite(x) if observed is None else np.isfinite(x) & observed
        found = {
            column.name: _texts(column, x[:, at], seen[:, at]) for at, column in enumerate(of_x)
        }
        constant = {
            column.name: [column.levels[0]] * len(x)
            for column in self.columns
            if column.kind == "constant"
        }
        found |= constant
        return {name: found[name] for name in self.names}

    def frame(self, x: Array, observed: Array | None = None) -> Any:
        """Return a data frame of pandas, the same as `cells` with numbers as numbers.

        Raises:
            ImportError: pandas is not installed.
        """
        kinds = {column.name: _frame_kind(column) for column in self.columns}
        return frame_of_cells(self.cells(x, observed), kinds, dtypes=self.dtypes)


def _frame_kind(column: Column) -> str:
    """Return whether a column is of real numbers, of whole ones, or of texts."""
    if column.kind in ("real", "positive"):
        return "real"
    numbers = [number(level) for level in column.levels]
    whole = all(value is not None and value.is_integer() for value in numbers)
    return "whole" if whole else "text"  # of no levels: integers and counts


def _texts(column: Column, x: Array, known: Array) -> list[str]:
    """Return the texts of one column."""
    values = np.where(known, x, 0)
    if column.kind in CODED:
        codes = np.clip(np.rint(values), 0, len(column.levels) - 1).astype(np.int64)
        texts = np.array(column.levels, dtype=object)[codes]
    elif column.kind in ("integer", "count"):
        texts = np.rint(values).astype(np.int64).astype(str)
    else:
        texts = values.astype(str)  # the digits that tell numbers apart in their precision
    return [str(text) if seen else "" for text, seen in zip(texts, known, strict=True)]
