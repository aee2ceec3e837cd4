"""Table files: the rows of a `.csv` or `.tsv` file, one at a time, as texts.

The first line holds the names of the columns. Values are separated by commas, semicolons or tabs,
may stand in double quotes, and are stripped of blanks around them. Blank lines are left out.
"""

import csv
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyrovae.data.cells import number, quoted
from pyrovae.spelling import nearest

SUFFIXES = (".csv", ".tsv", ".parquet")

_SEPARATORS = (",", ";", "\t")
_LONGEST = 2**20  # bytes of the first line
_SHOWN = 5  # names that a message lists

Row = tuple[int, Sequence[str | None]]


@dataclass(frozen=True)
class Rows:
    """The rows of a table, which can be gone through several times.

    Arguments:
        title: what the table is called in messages.
        names: the columns.
        unnamed: those whose name was made up, since the table has none.
        place: what the number of a row is, "line" of a file or "row" of a frame.
        read: gives the rows anew, each with its number, and a text or None for each cell.
    """

    title: str
    names: tuple[str, ...]
    unnamed: frozenset[str]
    place: str
    read: Callable[[], Iterator[Row]]

    def where(self, at: int, name: str) -> str:
        """Return where a cell is, for the beginning of a message."""
        return f"{self.title}, {self.place} {at}, column {quoted(name)}"


def rows_of_file(path: Path) -> Rows:
    """Return the rows of a file of text, whose first line alone is read at once.

    Raises:
        OSError: there is no such file.
        ValueError: it is no table; `read` raises it as well.
    """
    require_file(path)
    separator = _separator(path)
    header = next(_records(path, separator))[1]
    names, unnamed = checked_names(header, title=str(path))

    def read() -> Iterator[Row]:
        for line, cells in itertools.islice(_records(path, separator), 1, None):
            if len(cells) != len(names):
                raise ValueError(
                    f"{path}, line {line}: {len(cells)} cells, and the first line names "
                    f"{len(names)} columns; a cell that holds {separator!r} or a line break must "
                    f"stand in double quotes"
                )
            yield line, [cell.strip() for cell in cells]

    return Rows(str(path), names, unnamed, "line", read)


def checked_names(header: Sequence[str], *, title: str) -> tuple[tuple[str, ...], frozenset[str]]:
    """Return the names of columns, and those of them that had to be made up.

    Raises:
        ValueError: a name is there twice, or all of them are numbers.
    """
    given = [name.strip() for name in header]
    if given and all(number(name) is not None for name in given):
        raise ValueError(
            f"{title} must begin with a line of names, one for each column; its first line holds "
            f"numbers, {', '.join(given[:_SHOWN])}: put a line such as a,b,c above it"
        )
    names = [name or f"column {at}" for at, name in enumerate(given, 1)]
    twice = list(dict.fromkeys(name for name in names if names.count(name) > 1))
    if twice:
        raise ValueError(
            f"{title} names a column more than once: {', '.join(map(quoted, twice[:_SHOWN]))}; "
            f"give each column a name of its own"
        )
    return tuple(names), frozenset(name for name, had in zip(names, given, strict=True) if not had)


def require_file(path: Path) -> None:
    """Raise OSError where there is no file of that path."""
    if path.is_dir():
        raise IsADirectoryError(
            f"{path} is a folder; expected a file of a table, {' or '.join(SUFFIXES)}"
        )
    if not path.is_file():
        beside = [str(file) for file in path.parent.glob("*") if file.suffix.lower() in SUFFIXES]
        hint = nearest(path, beside) or f": check the path, seen from {Path.cwd()}"
        raise FileNotFoundError(f"there is no file {path}{hint}")


def _separator(path: Path) -> str:
    """Return what separates the cells of the first line: what gives most of them."""
    with path.open("rb") as file:
        first = file.readline(_LONGEST)
    if len(first) == _LONGEST:
        raise ValueError(f"{path} is no table: its first line has more than {_LONGEST} bytes")
    found = {}
    failure: Exception | None = None
    for separator in _SEPARATORS:
        try:
            found[separator] = len(next(_records(path, separator))[1])
        except ValueError as error:
            failure = failure or error
    if not found:
        raise failure or ValueError(f"{path} is no table")
    return max(found, key=lambda separator: found[separator])  # the first of equals


def _records(path: Path, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield what is not blank of a file, the first line too, each with the number of its line."""
    empty = True
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader: Any = csv.reader(file, delimiter=separator, strict=True)
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                break
            except csv.Error as error:
                raise ValueError(f"{path}, line {line}: {_said(error)}") from error
            except UnicodeDecodeError as error:
                raise ValueError(
                    f"{path}, line {_undecodable(path)}: no text in UTF-8; save the table as "
                    f"CSV in UTF-8, for example by iconv -f latin1 -t utf-8"
                ) from error
            if cells:
                empty = False
                yield line, cells
    if empty:
        raise ValueError(f"{path} is empty; expected a line of names and a line for each datum")


def _said(error: csv.Error) -> str:
    """Return what the reader of csv files complains about, in words for a user."""
    text = str(error)
    if "unexpected end of data" in text or "field larger" in text:
        return "a double quote opens here that nothing closes"
    if "expected after" in text:
        return 'a quoted cell must end at its second quote; a quote inside it is written twice, ""'
    return text


def _undecodable(path: Path) -> int:
    """Return the number of the first line that is not UTF-8."""
    with path.open("rb") as file:
        for at, line in enumerate(file, 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return at
    return 1
