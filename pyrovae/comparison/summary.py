"""Summary: the numbers of all cells, by row, with means, intervals and differences."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pyrovae.comparison.folder import Ended
from pyrovae.comparison.numbers import name_of, ordered
from pyrovae.comparison.plan import Cell, Plan, Row
from pyrovae.comparison.statistics import Mean, difference, mean_of

_OF_LABELS = ("accuracy", "log_prob")
_OF_DATA = ("log_prob", "accuracy")


@dataclass(frozen=True)
class Difference:
    """What one row has more than another, over the same seeds.

    Arguments:
        row: the one.
        other: the other.
        means: the means of the differences with their intervals, by number.
    """

    row: Row
    other: Row
    means: dict[str, Mean]


@dataclass
class Summary:
    """What came out of a comparison.

    Arguments:
        plan: the comparison.
        numbers: the numbers of each finished cell, by its name.
        ended: how each cell has ended, by its name.
    """

    plan: Plan
    numbers: Mapping[str, Mapping[str, float]]
    ended: Mapping[str, Ended]
    keys: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.keys = ordered(key for found in self.numbers.values() for key in found)

    @property
    def main(self) -> list[str]:
        """The numbers of the first table."""
        return [key for key in self.keys if name_of(key).main]

    @property
    def others(self) -> list[str]:
        """The numbers that stand in a table of their own."""
        return [k for k in self.keys if not (name_of(k).main or name_of(k).constant)]

    @property
    def first(self) -> str | None:
        """The number that the comparison is about: the one that most rows have.

        Of several it is the accuracy where a model has a classifier, log p(x) elsewhere.
        """
        trees = (cell.settings["model"]["init_args"] for cell in self.plan.cells)
        wanted = _OF_LABELS if any("classifier" in tree for tree in trees) else _OF_DATA
        found = [*(key for key in wanted if key in self.main), *self.main]
        if not found:
            return None
        return max(found, key=lambda key: sum(bool(self.of(row, key)) for row in self.plan.rows))

    @property
    def failed(self) -> Iterator[tuple[Cell, str]]:
        """The cells that failed, each with the reason."""
        for cell in self.plan.cells:
            ended = self.ended.get(cell.name)
            if ended is not None and ended.failure:
                yield cell, ended.failure

    @property
    def unfinished(self) -> list[Cell]:
        """The cells that have not come to their end, and did not fail."""
        states = ((cell, self.ended.get(cell.name, Ended())) for cell in self.plan.cells)
        return [cell for cell, ended in states if not (ended.finished or ended.failure)]

    def of(self, row: Row, key: str) -> dict[int, float]:
        """Return one number of a row by seed, of its finished cells that have it."""
        found = {seed: self.numbers.get(cell.name, {}) for seed, cell in row.cells.items()}
        return {seed: numbers[key] for seed, numbers in found.items() if key in numbers}

    def mean(self, row: Row, key: str) -> Mean | None:
        """Return the mean of a number over the seeds of a row, None where no cell has it."""
        return mean_of(list(self.of(row, key).values()))

    def count(self, row: Row) -> int:
        """Return how many cells of a row are finished."""
        return sum(cell.name in self.numbers for cell in row.cells.values())

    @property
    def differences(self) -> Iterator[Difference]:
        """Each row of the grid against the first of them, and each against its own baselines."""
        grid = [row for row in self.plan.rows if not row.baseline]
        pairs = [(row, grid[0]) for row in grid[1:]]
        for place, row in enumerate(grid):
            pairs += [(row, other) for other in self.plan.rows if place in other.of]
        for row, other in pairs:
            means = {
                key: found
                for key in self.main
                if (found := difference(self.of(row, key), self.of(other, key))) is not None
            }
            if means:
                yield Difference(row, other, means)


def summarise(
    plan: Plan, ended: Mapping[str, Ended], numbers: Mapping[str, Mapping[str, float]]
) -> Summary:
    """Return the summary of a comparison; only finished cells enter it.

    Arguments:
        plan: the comparison.
        ended: how each cell has ended, by its name.
        numbers: the numbers of cells by name, whether they have finished or not.
    """
    kept = {name: found for name, found in numbers.items() if name in ended}
    return Summary(plan, {n: f for n, f in kept.items() if ended[n].finished}, ended)
