"""Schema: the columns of a table, all that is declared and the rest by a look at the cells."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pyrovae.data.cells import quoted
from pyrovae.data.columns import CODED, MOST_WORDS, NUMBERS, Column, groups
from pyrovae.data.inference import Facts
from pyrovae.data.table_files import Row, Rows
from pyrovae.spelling import nearest

_SHOWN = 5  # names that a message lists


@dataclass(frozen=True)
class Schema:
    """What each column of a table is.

    Arguments:
        columns: the columns in the order of the table.
        left_out: why columns are left out of x that nobody asked to leave out.
    """

    columns: tuple[Column, ...]
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def groups(self) -> list[tuple[str, list[Column]]]:
        """The columns of x by what scores them, in the order in which x has them."""
        return groups(self.columns)

    @property
    def of_x(self) -> list[Column]:
        """The columns of x in the order in which x has them."""
        return [column for _, some in self.groups for column in some]

    @property
    def label(self) -> Column | None:
        """The column that is y, of the kind label for codes or target for numbers; None if none."""
        return next((column for column in self.columns if column.kind in ("label", "target")), None)


def schema_of(
    rows: Rows,
    declared: Mapping[str, Column],
    *,
    missing: Collection[str],
    label: str = "",
    target: str = "",
) -> Schema:
    """Return the schema of a table; its rows are read only where something is not declared.

    Columns are in the order of the table, or in the declared one if all are declared.

    Arguments:
        rows: the table.
        declared: the columns that are declared, by name.
        missing: the texts of missing cells.
        label: the column of classes, empty without one.
        target: the column of classes or numbers, by its cells; empty without one.

    Raises:
        ValueError: a name is unknown, or the cells are not what they are declared to be.
    """
    for name in [*declared, *filter(None, [label, target])]:
        if name not in rows.names:
            raise ValueError(
                f"{rows.title} has no column {quoted(name)}{nearest(name, rows.names)}; it has: "
                f"{_listed(rows.names)}"
            )
    whole = set(declared) == set(rows.names)
    names = tuple(declared) if whole else rows.names
    found = {name: declared.get(name) for name in names}
    for name, column in found.items():
        marked = column.kind if column is not None else ""
        if name == label:
            found[name] = column if marked == "label" else Column(name, "label")
        elif name == target and column is not None:
            found[name] = _as_target(column)
        elif marked in ("label", "target"):
            argument = "label or target" if marked == "label" else marked
            raise ValueError(
                f"Table: the column {quoted(name)} is of the kind {marked}: name it as {argument}"
            )
    left_out: dict[str, str] = {}
    open_names = [name for name, column in found.items() if column is None or not column.settled]
    facts = _facts(rows, open_names, missing)
    columns = []
    for name, column in found.items():
        if name not in facts:
            columns.append(column if column is not None else Column(name, "ignore"))
        elif column is not None:
            columns.append(facts[name].settled(column))
        elif name == target:
            columns.append(facts[name].target())
        else:
            kind, reason = facts[name].kind()
            columns.append(kind)
            if reason:
                left_out[name] = reason
    made = Schema(tuple(columns), left_out)
    _require_some(made, rows.title)
    return made


def _as_target(column: Column) -> Column:
    """Return a declared column as y: with levels it is a class, and otherwise a number."""
    if column.kind in ("label", "target"):
        return column
    if column.kind in NUMBERS:
        return Column(column.name, "target")
    if column.kind in CODED:
        return Column(column.name, "label", column.levels)
    raise ValueError(
        f"Table: the column {quoted(column.name)} is the target, and declared {column.kind}, which "
        f"is no part of the data: declare it real, category or not at all"
    )


def cells_by_column(
    rows: Rows, names: Sequence[str], missing: Collection[str]
) -> Iterator[tuple[int, list[str | None]]]:
    """Yield the cells of some columns, None where they are missing, of each row with its number.

    Raises:
        ValueError: the table has no row.
    """
    places = [rows.names.index(name) for name in names]
    none = True
    row: Row
    for row in rows.read():
        none = False
        at, cells = row
        chosen = (cells[place] for place in places)
        yield at, [None if cell in missing else cell for cell in chosen]
    if none:
        raise ValueError(f"{rows.title} has names of columns and no row of data")


def _facts(rows: Rows, names: Sequence[str], missing: Collection[str]) -> dict[str, Facts]:
    found = {name: Facts(rows, name) for name in names}
    if not found:
        return {}
    takers = list(found.values())
    for at, cells in cells_by_column(rows, names, missing):
        for facts, cell in zip(takers, cells, strict=True):
            if cell is not None:
                facts.add(at, cell)
    return found


def _require_some(schema: Schema, title: str) -> None:
    if not schema.of_x:
        why = "; ".join(f"{quoted(name)}: {text}" for name, text in schema.left_out.items())
        raise ValueError(f"{title} has no column to model{f' ({why})' if why else ''}")
    words = sum(2 + len(column.levels) for column in schema.columns)
    if words > MOST_WORDS:
        raise ValueError(
            f"{title} has {len(schema.columns)} columns with "
            f"{sum(len(column.levels) for column in schema.columns)} levels in all, more than the "
            f"{MOST_WORDS} words that a configuration has room for: cut it into smaller tables, or "
            f"give wide tables of numbers as a .npy file"
        )


def _listed(names: Sequence[str]) -> str:
    more = f", and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(map(quoted, names[:_SHOWN])) + more
