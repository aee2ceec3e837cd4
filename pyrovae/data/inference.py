"""Inference: the kind of each column of a table, by rules that look at all its known cells.

A cell is a number, or it is a text. A column of numbers is
- constant, if there is one value; then it is left out of x, and written back as it is;
- left out as well, if it counts the rows from 0 or 1 on;
- binary, if all are 0 or 1, or if at least 20 cells hold two whole numbers;
- count, if all are whole, from 0 on, and vary at least half as much as Poisson counts would;
- integer, if all are whole; positive, if all are above zero; real otherwise.

A column of texts is constant or binary if there are one or two; a category up to 100 of them where
they repeat; and it is left out otherwise, as identifiers or free text. Numbers among texts, and
texts that read like numbers, are refused. An order among texts must be declared.

A column that is the target holds classes if its cells are texts, or up to 20 different whole
numbers that repeat, and numbers otherwise.
"""

import math

from pyrovae.data.cells import is_like_number, number, quoted
from pyrovae.data.columns import MOST_LEVELS, Column, in_order
from pyrovae.data.table_files import Rows

MOST_INFERRED = 100  # levels of a category that nobody declared
EXACT = 2**24  # from here on whole numbers are not exact in 32 bits
_ENOUGH = 20  # cells that say what a column of numbers is
_LONGEST = 200  # letters of a level
_MOST_CLASSES = 20  # whole numbers that are taken for classes in a column to learn


class Facts:
    """What the known cells of one column are.

    Arguments:
        rows: the table, for messages.
        name: the column.
    """

    def __init__(self, rows: Rows, name: str) -> None:
        self.rows = rows
        self.name = name
        self.known = 0
        self.numbers = 0
        self.alike = 0  # texts that read like numbers
        self.whole = True
        self.low = math.inf
        self.high = -math.inf
        self.total = 0.0
        self.squares = 0.0
        self.longest = 0
        self.levels: dict[str, None] = {}  # in the order they came
        self.first: dict[str, tuple[int, str]] = {}  # of each kind of cell, for messages

    def add(self, at: int, text: str) -> None:
        """Take note of a known cell."""
        self.known += 1
        if len(self.levels) <= MOST_LEVELS:
            self.levels[text] = None
        self.longest = max(self.longest, len(text))
        value = number(text)
        if value is None:
            alike = is_like_number(text)
            self.alike += alike
            self.first.setdefault("text", (at, text))
            if alike:
                self.first.setdefault("alike", (at, text))
            return
        if math.isinf(value):
            self.first.setdefault("endless", (at, text))
            return
        self.numbers += 1
        self.whole = self.whole and value.is_integer()
        self.low = min(self.low, value)
        self.high = max(self.high, value)
        self.total += value
        self.squares += value * value

    def kind(self) -> tuple[Column, str]:
        """Return what the column is, and why it is left out if it is.

        Raises:
            ValueError: it is a mixture of numbers and texts, or holds infinities.
        """
        if self.known == 0:
            return Column(self.name, "ignore"), "no cell is known"
        if self.name in self.rows.unnamed:
            return Column(self.name, "ignore"), "it has no name"
        if 2 * (self.numbers + self.alike) >= self.known:
            self.require_numbers()
            return self._kind_of_numbers()
        levels = in_order(self.levels)
        if len(levels) == 1 and self.longest <= _LONGEST:
            return Column(self.name, "constant", levels), "all known cells are the same"
        if self.longest > _LONGEST:
            return Column(self.name, "ignore"), f"a text has {self.longest} letters"
        if len(levels) == 2:
            return Column(self.name, "binary", levels), ""
        if len(levels) <= MOST_INFERRED and 2 * len(levels) <= self.known + 2:
            return Column(self.name, "category", levels), ""
        many = f"{len(levels):,}" if len(levels) <= MOST_LEVELS else f"over {MOST_LEVELS:,}"
        reason = f"{many} different texts in {self.known:,} known cells: an identifier or free text"
        return Column(self.name, "ignore"), reason

    def target(self) -> Column:
        """Return what the column is as y: classes of texts, or of few whole numbers that repeat.

        Raises:
            ValueError: it is a mixture of numbers and texts, or holds infinities.
        """
        if 2 * (self.numbers + self.alike) >= max(1, self.known):
            self.require_numbers()
            count = len(self.levels)
            same = count == len({number(level) for level in self.levels})  # 1 is nowhere 1.0
            few = count <= _MOST_CLASSES and 2 * count <= self.known + 2
            if not (self.whole and same and few):
                return Column(self.name, "target")
        return self.settled(Column(self.name, "label"))

    def _kind_of_numbers(self) -> tuple[Column, str]:
        distinct = {value for value in map(number, self.levels) if value is not None}
        if self.low == self.high:
            return Column(self.name, "constant", (next(iter(self.levels)),)), "all are the same"
        if self._counts_rows():
            return Column(self.name, "ignore"), "it counts the rows"
        same = len(distinct) == len(self.levels)  # every value is written in one way
        pair = self.whole and same and len(distinct) == 2
        if pair and (distinct == {0.0, 1.0} or self.known >= _ENOUGH):
            return Column(self.name, "binary", in_order(self.levels)), ""
        if self.whole:
            mean = self.total / self.known
            variance = self.squares / self.known - mean * mean
            counts = self.low >= 0.0 and self.high < EXACT and variance >= 0.5 * mean
            return Column(self.name, "count" if counts else "integer"), ""
        return Column(self.name, "positive" if self.low > 0.0 else "real"), ""

    def _counts_rows(self) -> bool:
        """Return whether the cells are all from 0 or 1 on, by their sum and that of squares."""
        n = self.known
        if not self.whole or n < _ENOUGH or self.low not in (0, 1) or self.high - self.low != n - 1:
            return False
        mean = self.total / n
        spread = self.squares / n - mean * mean
        return mean == (self.low + self.high) / 2 and math.isclose(spread, (n * n - 1) / 12)

    def require_numbers(self) -> None:
        """Raise ValueError where a cell is no finite number."""
        if "endless" in self.first:
            raise ValueError(
                f"{self._where('endless')} is infinite; a table holds finite numbers: mend it, or "
                f"add the text to missing, what marks missing cells (--data.missing)"
            )
        if "text" in self.first:
            key = "alike" if "alike" in self.first else "text"
            how = (
                "reads like a number, and is written as none" if key == "alike" else "is no number"
            )
            raise ValueError(
                f"{self._where(key)} {how}; {self.numbers} of {self.known} known cells of the "
                f"column are numbers such as 1234.5: mend it, add it to missing, or declare the "
                f"column a category, or ignore it (--data.columns '{{{self.name}: category}}')"
            )

    def settled(self, column: Column) -> Column:
        """Return a declared column with the levels that were not declared.

        Raises:
            ValueError: there are too many levels, or their order is unknown.
        """
        levels = in_order(self.levels)
        texts = column.kind == "ordinal" and any(number(level) is None for level in levels)
        least, most = _SIZES.get(column.kind, (2, MOST_LEVELS))
        if texts:
            raise ValueError(
                f"{self.rows.title}: the column {quoted(self.name)} is declared ordinal, and the "
                f"order of its texts is unknown; give the levels from the lowest to the highest, "
                f"{{{self.name}: [{', '.join(levels[:3])}, ...]}}"
            )
        if not least <= len(levels) <= most or self.longest > _LONGEST:
            found = f"{len(levels)}" if len(levels) <= MOST_LEVELS else f"more than {MOST_LEVELS}"
            raise ValueError(
                f"{self.rows.title}: the column {quoted(self.name)} is declared {column.kind}, "
                f"with {least} to {most} levels of up to {_LONGEST} letters; it has {found} "
                f"different cells, of up to {self.longest} letters"
            )
        return Column(column.name, column.kind, levels)

    def _where(self, key: str) -> str:
        at, text = self.first[key]
        return f"{self.rows.where(at, self.name)}: {quoted(text)}"


_SIZES = {"binary": (2, 2), "label": (1, MOST_LEVELS), "constant": (1, 1)}
