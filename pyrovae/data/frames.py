"""Frames: data frames of pandas as the rows of a table, and rows as frames.

pandas is imported here alone, and only where a frame is given, asked for, or read from a file.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from pyrovae.data.table_files import Row, Rows, checked_names, require_file

_CHUNK = 4096  # rows that are texts at a time


def rows_of_frame(frame: Any, *, title: str = "the data frame") -> Rows:
    """Return the rows of a data frame as texts, None for each cell that pandas calls missing.

    Raises:
        ValueError: its columns have no names of their own.
    """
    names, unnamed = checked_names([str(name) for name in frame.columns], title=title)

    def read() -> Iterator[Row]:
        for first in range(0, len(frame), _CHUNK):
            part = frame.iloc[first : first + _CHUNK]
            columns = [_texts(part.iloc[:, at]) for at in range(len(names))]
            yield from enumerate(zip(*columns, strict=True), first)

    return Rows(title, names, unnamed, "row", read)


def rows_of_parquet(path: Path) -> Rows:
    """Return the rows of a `.parquet` file, which is read whole.

    Raises:
        ImportError: pandas or pyarrow is not installed.
        OSError: there is no such file.
        ValueError: it is no such file.
    """
    require_file(path)
    pandas = _pandas(f"{path} is a Parquet file, and reading it needs pandas and pyarrow")
    try:
        frame = pandas.read_parquet(path)
    except ImportError as error:
        raise ImportError(
            f"{path} is a Parquet file, and reading it needs pyarrow: install pyrovae[parquet], or "
            f"save the table as .csv"
        ) from error
    except Exception as error:  # unsound files make the readers raise whatever they lead to
        raise ValueError(f"{path} is no sound Parquet file: {error}") from error
    return rows_of_frame(frame, title=str(path))


def frame_of_cells(
    cells: Mapping[str, Sequence[str]],
    kinds: Mapping[str, str],
    *,
    dtypes: Mapping[str, Any] | None = None,
) -> Any:
    """Return texts by column as a data frame, numbers as numbers.

    Arguments:
        cells: the texts, empty where they are missing.
        kinds: of each column "real", "whole" or "text".
        dtypes: what pandas calls the columns of the frame that they came from, which they become
            where nothing is lost by it; None where they came from a file.

    Raises:
        ImportError: pandas is not installed.
    """
    pandas = _pandas("data frames need pandas")
    made = {}
    for name, texts in cells.items():
        known = pandas.array([text or None for text in texts], dtype="string")
        if kinds[name] == "real":
            column = pandas.Series(known).astype("Float64").astype("float64")
        elif kinds[name] == "whole":
            column = pandas.Series(known).astype("Float64").astype("Int64")
        else:
            column = pandas.Series([text or None for text in texts], dtype="object")
        dtype = (dtypes or {}).get(name)
        if dtype is not None:
            column = _as_before(column, dtype)
        made[name] = column
    return pandas.DataFrame(made)


def _as_before(column: Any, dtype: Any) -> Any:
    """Return a column as another type where that loses nothing."""
    if getattr(dtype, "kind", "") == "b":
        if column.isna().any():
            return column
        return column.map({"True": True, "False": False})
    with suppress(TypeError, ValueError):
        changed = column.astype(dtype)
        if not (changed.isna() & column.notna()).any():
            return changed
    return column


def is_frame(given: object) -> bool:
    """Return whether something is a data frame of pandas, which is not imported for that."""
    kind = type(given)
    return kind.__name__ == "DataFrame" and kind.__module__.partition(".")[0] == "pandas"


def _texts(column: Any) -> list[str | None]:
    absent = column.isna().tolist()
    values = column.astype(object).tolist()
    return [None if none else str(v).strip() for none, v in zip(absent, values, strict=True)]


def _pandas(need: str) -> ModuleType:
    try:
        import pandas
    except ImportError as error:
        raise ImportError(f"{need}: install pyrovae[parquet], which brings both") from error
    return pandas
