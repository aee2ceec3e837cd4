"""What suits a table: a likelihood for each group of its columns, and a line about each column."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from pyrovae.data.columns import CODED, Column
from pyrovae.data.schema import Schema
from pyrovae.data.source import Suggestion
from pyrovae.data.table_codes import Seen

_LINES = 60  # of a description; a table of more columns says how many more
_WIDTH = 40  # letters of a name or of levels


def suggestion_for(schema: Schema) -> Suggestion:
    """Return the likelihood `Mixed`, with one for the columns of each kind."""
    parts = [_tree(kind, columns) for kind, columns in schema.groups]
    counts = Counter(column.kind for column in schema.of_x)
    kinds = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    columns = "column" if len(schema.of_x) == 1 else "columns"
    return Suggestion(
        likelihood="Mixed",
        arguments={"parts": parts},
        reason=f"the table has the {columns} {kinds}, and each kind has its own",
    )


def described_columns(schema: Schema, seen: Sequence[Seen]) -> list[str]:
    """Return an aligned line for each column, below one that says what stands in it."""
    found = {one.column.name: one for one in seen}
    scored = {
        column.name: _shown(_tree(kind, some)) for kind, some in schema.groups for column in some
    }
    cells = [("column", "kind", "levels or range", "missing", "suits")]
    total = max((one.known + one.missing for one in seen), default=0)
    for column in schema.columns:
        one = found.get(column.name)
        missing = f"{one.missing / total:.1%}" if one and total else ""
        why = schema.left_out.get(column.name, "")
        out = "y" if column.kind in ("label", "target") else "left out"
        last = scored.get(column.name, f"{out}{': ' if why else ''}{why}")
        cells.append((_cut(column.name), column.kind, _range(column, one), missing, last))
    kept, more = cells[: _LINES + 1], len(cells) - _LINES - 1
    widths = [max(len(row[at]) for row in kept) for at in range(5)]
    lines = [
        f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]:<{widths[2]}}  "
        f"{row[3]:>{widths[3]}}  {row[4]}".rstrip()
        for row in kept
    ]
    return [*lines, f"... and {more} more columns"] if more > 0 else lines


def _tree(kind: str, columns: Sequence[Column]) -> dict[str, Any]:
    """Return the likelihood of a group of columns as a configuration writes it."""
    given: dict[str, Any] = {"event_shape": [len(columns)]}
    if kind == "real":
        return _stretched("Normal", {**given, "scale": "element"})
    if kind == "positive":
        return _stretched("LogNormal", {**given, "scale": "element"})
    if kind == "count":
        return _part("NegativeBinomial", given)
    if kind == "binary":
        return _part("Bernoulli", given)
    name = "Ordinal" if kind == "ordinal" else "Categorical"
    return _part(name, {**given, "levels": len(columns[0].levels)})


def _stretched(name: str, given: dict[str, Any]) -> dict[str, Any]:
    return _part("Standardized", {"likelihood": _part(name, given)})


def _part(name: str, given: dict[str, Any]) -> dict[str, Any]:
    return {"class_path": f"pyrovae.likelihoods.{name}", "init_args": given}


def _shown(tree: dict[str, Any]) -> str:
    """Return the name of a likelihood, with that of the one in it."""
    name = tree["class_path"].rpartition(".")[2]
    inner = tree["init_args"].get("likelihood")
    return f"{name}({_shown(inner)})" if inner else str(name)


def _range(column: Column, seen: Seen | None) -> str:
    if column.levels:
        count = f"{len(column.levels)}: " if column.kind in (*CODED, "label") else ""
        mark = " < " if column.kind == "ordinal" else ", "
        return _cut(count + mark.join(column.levels))
    if seen is None or seen.high < seen.low:
        return ""
    return f"{seen.low:g} to {seen.high:g}"


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _WIDTH else f"{line[: _WIDTH - 3]}..."
