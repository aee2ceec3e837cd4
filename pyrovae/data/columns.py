"""Columns: what the columns of a table are, as a configuration declares it.

The words are those of `KINDS`. A kind that has levels may stand with them, `{category: [a, b]}`,
and a list alone is the levels of an ordinal column from the lowest to the highest.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyrovae.data.cells import number, quoted
from pyrovae.spelling import nearest

NUMBERS = ("real", "integer", "positive", "count")
CODED = ("binary", "ordinal", "category")
BESIDE = ("constant", "label", "target", "ignore")  # which are no part of x
KINDS = (*NUMBERS, *CODED, *BESIDE)
MOST_LEVELS = 1000  # of one column; a column of more is an identifier or free text
MOST_WORDS = 2000  # of all columns and levels together, which a configuration can hold


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Arguments:
        name: what it is called in the first line of the table.
        kind: one of `KINDS`.
        levels: the texts in its cells that are the codes 0, 1, ...; empty where they are unknown.
    """

    name: str
    kind: str
    levels: tuple[str, ...] = ()

    @property
    def settled(self) -> bool:
        """Whether it says all that is needed to read a cell."""
        return bool(self.levels) or self.kind in (*NUMBERS, "target", "ignore")

    @property
    def declared(self) -> Any:
        """The column as a configuration writes it."""
        if not self.levels:
            return self.kind
        levels = list(self.levels)
        return levels if self.kind == "ordinal" else {self.kind: levels}


def columns_from(declared: Mapping[str, Any] | None) -> dict[str, Column]:
    """Return columns by name, as they were declared.

    Raises:
        TypeError: it is no mapping of names to kinds.
        ValueError: a kind or its levels are wrong; the message names the column.

    Example:
        >>> columns_from({"age": "count", "grade": ["low", "high"]})["grade"]
        Column(name='grade', kind='ordinal', levels=('low', 'high'))
    """
    if declared is None:
        return {}
    if not isinstance(declared, Mapping):
        raise TypeError(
            f"Table expects columns to give the kind of each column by its name, such as "
            f"{{'age': 'count', 'grade': ['low', 'high']}}; got {declared!r}"
        )
    return {str(name): _column(str(name), value) for name, value in declared.items()}


def _column(name: str, value: Any) -> Column:
    if isinstance(value, str):
        return Column(name, _kind(name, value))
    if isinstance(value, Mapping) and len(value) == 1:
        ((kind, levels),) = value.items()
        if kind in (*CODED, "constant", "label") and isinstance(levels, list | tuple):
            return _with_levels(name, kind, levels)
        _kind(name, kind)
    if isinstance(value, list | tuple):
        return _with_levels(name, "ordinal", value)
    raise ValueError(
        f"Table: the column {quoted(name)} expects one of {', '.join(KINDS)}, a list of levels in "
        f"their order, or such as {{'category': ['a', 'b']}}; got {value!r}"
    )


def _kind(name: str, value: Any) -> str:
    if value not in KINDS:
        raise ValueError(
            f"Table: the column {quoted(name)} expects one of the kinds {', '.join(KINDS)}; got "
            f"{value!r}{nearest(value, KINDS)}"
        )
    return str(value)


def _with_levels(name: str, kind: str, levels: Sequence[Any]) -> Column:
    for level in levels:
        if isinstance(level, bool) or not isinstance(level, str | int | float):
            raise TypeError(
                f"Table: the column {quoted(name)} expects its levels to be the texts in its "
                f"cells; got {level!r}: put it in quotes"
            )
    found = tuple(str(level).strip() for level in levels)
    if len(set(found)) < len(found):
        raise ValueError(f"Table: the column {quoted(name)} has a level twice in {list(found)}")
    least = 1 if kind in ("constant", "label") else 2
    most = {"constant": 1, "binary": 2}.get(kind, MOST_LEVELS)
    if not least <= len(found) <= most:
        count = f"{least}" if least == most else f"{least} to {most}"
        raise ValueError(
            f"Table: the column {quoted(name)} of kind {kind} expects {count} levels; got "
            f"{len(found)}"
        )
    return Column(name, kind, found)


def in_order(levels: Iterable[str]) -> tuple[str, ...]:
    """Return levels sorted, as numbers where all of them are numbers."""
    found = sorted(levels)
    numbers = [number(level) for level in found]
    if all(value is not None for value in numbers):
        found.sort(key=lambda level: (number(level) or 0.0, level))
    return tuple(found)


def groups(columns: Iterable[Column]) -> list[tuple[str, list[Column]]]:
    """Return the columns of x by what scores them, in the order in which x has them.

    Columns with levels stand together where they have the same number of levels.

    Example:
        >>> [(kind, len(some)) for kind, some in groups(columns_from({
        ...     "a": "count", "b": "real", "c": "integer", "d": ["x", "y"]}).values())]
        [('real', 2), ('count', 1), ('ordinal', 1)]
    """
    found: dict[tuple[int, int], list[Column]] = {}
    order = ("real", "positive", "count", *CODED)
    for column in columns:
        kind = "real" if column.kind == "integer" else column.kind
        if kind in order:
            size = len(column.levels) if kind in CODED else 0
            found.setdefault((order.index(kind), size), []).append(column)
    return [(order[key[0]], found[key]) for key in sorted(found)]
