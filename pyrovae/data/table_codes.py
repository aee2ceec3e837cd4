"""Codes of tables: the cells of a table as numbers, and what was found in them."""

import math
import warnings
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pyrovae.data.base import UNLABELLED
from pyrovae.data.cells import number, quoted
from pyrovae.data.columns import CODED, Column
from pyrovae.data.schema import Schema, cells_by_column
from pyrovae.data.table_files import Rows

_WORDS = {
    "real": "finite numbers",
    "target": "finite numbers",
    "integer": "whole numbers",
    "positive": "numbers above zero",
    "count": "whole numbers from 0 on",
}
_CHUNK = 4096  # rows that are texts at a time
_SHOWN = 5  # categories that a warning names
_DIGITS = 1e-3  # of a column's range: what rounding to the precision of x may change

Array = np.ndarray[Any, Any]


@dataclass
class Seen:
    """What was found in one column.

    Arguments:
        column: the column.
        known: how many cells are known.
        missing: how many cells are missing.
        low: the lowest known number, of a column of numbers.
        high: the highest.
        rounded: the most that the precision of x changed.
        unseen: how often a text stood there that is none of its levels, by the text.
    """

    column: Column
    known: int = 0
    missing: int = 0
    low: float = math.inf
    high: float = -math.inf
    rounded: float = 0.0
    unseen: dict[str, int] = field(default_factory=dict)


def coded(
    rows: Rows, schema: Schema, *, missing: Collection[str]
) -> tuple[dict[str, Tensor], list[Seen]]:
    """Return x, and observed and y where the table has them, and what each column holds.

    x has the default dtype. A text that is none of the declared levels is missing, with a warning.

    Raises:
        ValueError: a cell is not of its column's kind.
    """
    columns = schema.of_x + ([schema.label] if schema.label else [])
    columns += [column for column in schema.columns if column.kind == "constant"]
    reader = _Reader(rows, columns)
    chunks = []
    texts: list[tuple[int, list[str | None]]] = []
    for row in cells_by_column(rows, [column.name for column in columns], missing):
        texts.append(row)
        if len(texts) == _CHUNK:
            chunks.append(reader.read(texts))
            texts = []
    if texts:
        chunks.append(reader.read(texts))
    values = np.concatenate(chunks)
    del chunks
    for seen in reader.seen:
        _warn(rows, seen)
    width = len(schema.of_x)
    x = values[:, :width]
    known = ~np.isnan(x)
    found = {"x": torch.from_numpy(np.where(known, x, 0.0))}
    if not known.all():
        found["observed"] = torch.from_numpy(known)
    if schema.label and schema.label.kind == "target":
        found["y"] = torch.from_numpy(values[:, width].copy())
    elif schema.label:
        y = np.where(np.isnan(values[:, width]), UNLABELLED, values[:, width])
        found["y"] = torch.from_numpy(y.astype(np.int64))
    return found, reader.seen


class _Reader:
    """Reads texts as numbers, nan where they are missing.

    Arguments:
        rows: the table, for messages.
        columns: the columns to read.
    """

    def __init__(self, rows: Rows, columns: list[Column]) -> None:
        self.rows = rows
        self.seen = [Seen(column) for column in columns]
        self.codes = [{level: code for code, level in enumerate(c.levels)} for c in columns]
        self.dtype = torch.empty(0).numpy().dtype

    def read(self, texts: list[tuple[int, list[str | None]]]) -> Array:
        """Return the numbers of some rows."""
        places = [at for at, _ in texts]
        made = np.empty((len(texts), len(self.seen)), dtype=self.dtype)
        for number_, seen in enumerate(self.seen):
            cells = [row[number_] for _, row in texts]
            take = self._codes if seen.column.levels else self._numbers
            exact = take(number_, places, cells)
            made[:, number_] = exact
            known = exact[~np.isnan(exact)]
            seen.known += len(known)
            seen.missing += len(exact) - len(known)
            if len(known):
                seen.low = min(seen.low, float(known.min()))
                seen.high = max(seen.high, float(known.max()))
                seen.rounded = max(
                    seen.rounded, float(np.abs(known.astype(self.dtype) - known).max())
                )
        return made

    def _codes(self, which: int, places: list[int], cells: list[str | None]) -> Array:
        codes, unseen = self.codes[which], self.seen[which].unseen
        found = np.full(len(cells), np.nan)
        for at, cell in enumerate(cells):
            if cell is None:
                continue
            code = codes.get(cell)
            if code is None:
                unseen[cell] = unseen.get(cell, 0) + 1
            else:
                found[at] = code
        return found

    def _numbers(self, which: int, places: list[int], cells: list[str | None]) -> Array:
        kind, most = self.seen[which].column.kind, float(np.finfo(self.dtype).max)
        found = np.full(len(cells), np.nan)
        for at, cell in enumerate(cells):
            if cell is None:
                continue
            value = number(cell)
            wrong = value is None or abs(value) > most or not _fits(kind, value)
            if value is None or wrong:
                name = self.seen[which].column.name
                raise ValueError(
                    f"{self.rows.where(places[at], name)}: {quoted(cell)} is not of the kind "
                    f"{kind}, {_WORDS[kind]}; mend it, add it to missing, or declare the column "
                    f"otherwise"
                )
            found[at] = value
        return found


def _fits(kind: str, value: float) -> bool:
    """Return whether a number is of a kind."""
    if kind == "positive":
        return value > 0.0
    whole = kind in ("real", "target") or value.is_integer()
    return whole and (kind != "count" or value >= 0.0)


def _warn(rows: Rows, seen: Seen) -> None:
    name = quoted(seen.column.name)
    if seen.unseen:
        named = [f"{quoted(text)} ({count})" for text, count in seen.unseen.items()]
        more = f", and {len(named) - _SHOWN} more" if len(named) > _SHOWN else ""
        done = {
            "constant": "it was constant, and is left out",
            "label": "they are taken as unlabelled",
        }.get(seen.column.kind, "they are taken as missing")
        warnings.warn(
            f"{rows.title}: {sum(seen.unseen.values())} cells of the column {name} hold none of "
            f"its {len(seen.column.levels)} known levels, but "
            f"{', '.join(named[:_SHOWN])}{more}; {done}",
            stacklevel=5,
        )
    if seen.column.kind not in CODED and seen.rounded > _DIGITS * (seen.high - seen.low) > 0.0:
        warnings.warn(
            f"{rows.title}: the numbers of the column {name} lie so far from zero that their "
            f"differences are lost by rounding, by up to {seen.rounded:g} in a range of "
            f"{seen.high - seen.low:g}: subtract a constant from them",
            stacklevel=5,
        )
