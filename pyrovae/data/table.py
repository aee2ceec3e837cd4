"""Tables with columns of several kinds and missing cells."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, final

from torch import Tensor

from pyrovae.data.base import Data
from pyrovae.data.columns import BESIDE, columns_from
from pyrovae.data.frames import is_frame, rows_of_frame, rows_of_parquet
from pyrovae.data.labelling import check_budget, within_budget
from pyrovae.data.schema import Schema, schema_of
from pyrovae.data.source import (
    LabelForm,
    Source,
    Splits,
    Suggestion,
    check_part,
    check_seed,
    cut,
    split_rows,
)
from pyrovae.data.table_codes import Seen, coded
from pyrovae.data.table_files import SUFFIXES, Rows, rows_of_file
from pyrovae.data.table_suggestion import described_columns, suggestion_for
from pyrovae.data.table_texts import TableForm
from pyrovae.data.tensors import TensorData

_OPTIONS = (
    *("columns", "missing", "label", "target", "valid", "test", "seed"),
    *("labels", "labels_seed", "labelled_share"),
)
MISSING = ("", "NA", "NaN", "nan", "null", "?")


@final
class Table(Source):
    """A table of numbers, counts, categories and their like, some of whose cells are missing.

    It is read from a `.csv`, `.tsv` or `.parquet` file, or taken from a data frame by `Table.of`.
    The first line names the columns. x is a tensor `[N, columns]` of the columns that are modelled,
    those of a kind side by side, and `observed` says which cells are known. Kinds that are not
    declared are inferred from the cells by the rules of `pyrovae.data.inference`.

    The kinds are: real; integer, whole numbers scored as real ones; positive, numbers above zero;
    count, whole numbers from 0 on; binary, ordinal and category, whose levels are codes in x;
    constant, label, target and ignore, which are no part of x.

    Numbers of y are as they stand in the table, as those of x are: a likelihood that standardises
    them, `Standardized(Normal(()))`, works on a common scale.

    Arguments:
        path: the file.
        columns: the kind of some or all columns by name, such as `{"age": "count"}`; an ordinal
            column is the list of its levels, `{"size": ["small", "large"]}`, and other levels stand
            under the kind, `{"sex": {"category": ["f", "m"]}}`.
        missing: the texts of missing cells.
        label: the column of classes y, which is no part of x; empty for none.
        target: the column of y, classes or numbers: what `columns` declares, else classes where its
            cells are texts or up to 20 different whole numbers that repeat, and numbers otherwise.
            A missing cell is an unknown y. Empty for none; it goes without `label`.
        valid: what to validate on, a count of data, or a float as a share of them; 0 for none.
        test: what to test on, in the same way.
        seed: seeds the permutation that splits the data.
        labels: how many labels of the training data to keep, equally many of each class; the
            others, and those of the validation data, become unknown. None keeps all.
        labels_seed: chooses them.
        labelled_share: repeats labelled rows a whole number of times, to be about this share of
            the training rows, and so of a batch; None reads each once.

    Raises:
        TypeError: an argument is of another type.
        ValueError: the path has another suffix, a column is declared as something that there is
            not, or a number is out of range.

    Example:
        >>> Table("patients.csv", columns={"age": "count", "grade": ["low", "mid", "high"]})
        Table('patients.csv', columns={'age': 'count', 'grade': ['low', 'mid', 'high']})
    """

    _frame: Any = None

    def __init__(
        self,
        path: str = "",
        *,
        columns: dict[str, Any] | None = None,
        missing: Sequence[str] = MISSING,
        label: str = "",
        target: str = "",
        valid: int | float = 0.1,
        test: int | float = 0.1,
        seed: int = 0,
        labels: int | None = None,
        labels_seed: int = 0,
        labelled_share: float | None = None,
    ) -> None:
        self.path = str(path)
        self._declared = columns_from(columns)
        plain = {name: column.declared for name, column in self._declared.items()}
        self.columns = None if columns is None else plain
        texts = (missing,) if isinstance(missing, str) else missing
        if not isinstance(texts, list | tuple) or not all(isinstance(t, str) for t in texts):
            raise TypeError(
                f"Table expects missing to be the texts of missing cells, such as ['', 'NA']; got "
                f"{missing!r}"
            )
        self.missing = tuple(texts)
        self.label = label
        self.target = target
        self.valid = valid
        self.test = test
        self.seed = seed
        self.labels = labels
        self.labels_seed = labels_seed
        self.labelled_share = labelled_share
        self._kept: tuple[object, Schema] | None = None
        self._left_out: dict[str, str] = {}  # why, of a source that was settled
        self._seen: list[Seen] | None = None
        for name in ("label", "target"):
            if not isinstance(getattr(self, name), str):
                raise TypeError(
                    f"Table expects {name} to be the name of a column; got {getattr(self, name)!r}"
                )
        if label and target:
            raise ValueError(
                f"Table has one y: give label={label!r} or target={target!r}, and not both"
            )
        check_part(self, "valid", valid, shares=True)
        check_part(self, "test", test, shares=True)
        check_seed(self, seed)
        check_budget(self)
        if self.path and self._file.suffix.lower() not in SUFFIXES:
            raise ValueError(
                f"Table expects the path of a {' or '.join(SUFFIXES)} file; got {self.path!r}"
            )

    @classmethod
    def of(cls, frame: Any, **options: Any) -> "Table":
        """Return the table in a data frame of pandas.

        Arguments:
            frame: the data frame; cells that pandas calls missing are missing.
            **options: arguments of `Table` other than the path.

        Raises:
            TypeError: it is no data frame.
        """
        if not is_frame(frame):
            raise TypeError(
                f"Table.of expects a data frame of pandas; got {type(frame).__name__}: give a "
                f"file by its path, Table('table.csv')"
            )
        made = cls(**options)
        made._frame = frame
        return made

    @property
    def event_shape(self) -> tuple[int, ...]:
        return (len(self.schema.of_x),)

    @property
    def total_count(self) -> int | None:
        return None

    @property
    def suggestion(self) -> Suggestion:
        return suggestion_for(self.schema)

    @property
    def classes(self) -> tuple[str, ...]:
        label = self.schema.label
        return label.levels if label else ()

    @property
    def label_form(self) -> LabelForm | None:
        label = self.schema.label
        return None if label is None else LabelForm(levels=len(label.levels) or None)

    @property
    def form(self) -> TableForm | None:
        dtypes = None if self._frame is None else dict(self._frame.dtypes)
        try:
            return TableForm(self.schema, dtypes=dtypes)
        except (OSError, ValueError):
            if not self._is_whole():
                raise
        return TableForm(Schema(tuple(self._declared.values())))  # of a run whose file is gone

    @property
    def schema(self) -> Schema:
        """What each column is, which takes a look at all cells where not all is declared."""
        stamp = self._stamp()
        if self._kept is None or self._kept[0] != stamp:
            rows = self._rows()
            found = schema_of(
                rows,
                self._declared,
                missing=set(self.missing),
                label=self.label,
                target=self.target,
            )
            self._kept = stamp, replace(found, left_out=self._left_out | found.left_out)
            self._seen = None
        return self._kept[1]

    def described(self) -> list[str]:
        schema = self.schema
        if self._seen is None:
            self._read()
        return described_columns(schema, self._seen or [])

    def settled(self) -> Source:
        schema = self.schema
        made = self._again(columns={column.name: column.declared for column in schema.columns})
        made._left_out = schema.left_out
        return made

    def like(self, other: Source) -> Source:
        other = other.origin
        if not isinstance(other, Table) or not other._declared:
            return self
        names = self._rows().names
        taken = {
            name: column
            for name, column in other._declared.items()
            if name in names or column.kind not in BESIDE
        }
        columns = {name: column.declared for name, column in taken.items()}
        if other._is_whole():
            columns |= {name: "ignore" for name in names if name not in taken}
        label = other.label if other.label in taken else ""
        target = other.target if other.target in taken else ""
        return self._again(columns=columns, missing=other.missing, label=label, target=target)

    def load(self) -> Splits:
        tensors = self._read()
        rows = split_rows(len(tensors["x"]), valid=self.valid, test=self.test, seed=self.seed)
        title = self._file.name if self._frame is None else "data frame"

        def part(name: str, chosen: Tensor) -> Data:
            taken = {key: value[chosen] for key, value in tensors.items()}
            return TensorData(taken, description=f"{title}: {name}")

        return within_budget(self, cut(rows, part))

    def tensors(self) -> Mapping[str, Tensor]:
        """Return all rows at once: x, and observed and y where the table has them."""
        return self._read()

    def _read(self) -> dict[str, Tensor]:
        schema = self.schema
        tensors, self._seen = coded(self._rows(), schema, missing=set(self.missing))
        return tensors

    def _again(self, **changed: Any) -> "Table":
        given = {name: getattr(self, name) for name in _OPTIONS}
        made = Table(self.path, **{**given, **changed})
        made._frame = self._frame
        return made

    def _rows(self) -> Rows:
        if self._frame is not None:
            return rows_of_frame(self._frame)
        file = self._file
        return rows_of_parquet(file) if file.suffix.lower() == ".parquet" else rows_of_file(file)

    def _is_whole(self) -> bool:
        """Return whether the declaration says all there is to know, as that of a run does."""
        return bool(self._declared) and all(c.settled for c in self._declared.values())

    def _stamp(self) -> object:
        """Return what changes when the file does, None where there is no file."""
        if self._frame is not None:
            return id(self._frame)
        file = self._file
        if not file.is_file():
            return None
        known = file.stat()
        return known.st_mtime_ns, known.st_size

    @property
    def _file(self) -> Path:
        if not self.path:
            raise ValueError("Table needs the path of a file: Table('table.csv')")
        return Path(self.path).expanduser()
