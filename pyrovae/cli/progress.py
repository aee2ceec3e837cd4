"""Progress: a line for each cell of a comparison that has ended, and on a terminal a bar."""

from collections.abc import Mapping
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar

from pyrovae.comparison.folder import Ended
from pyrovae.comparison.numbers import name_of, ordered
from pyrovae.comparison.plan import Cell

_NUMBERS = 4  # in the line of a cell


class Progress:
    """How far a comparison has come, shown inside its context.

    Arguments:
        total: how many cells there are.
        done: how many of them had finished before.
        jobs: how many run side by side.
    """

    def __init__(self, *, total: int, done: int, jobs: int) -> None:
        self.total = total
        self.before = done
        self.done = done
        self.jobs = jobs
        self._spent = 0.0
        console = Console()
        self._bar: Bar | None = None
        if console.is_terminal and done < total:
            columns = (TextColumn("cells"), BarColumn(), MofNCompleteColumn())
            self._bar = Bar(*columns, TextColumn("{task.fields[left]}"), console=console)
            self._bar.add_task("", total=total, completed=done, left="")

    def __enter__(self) -> "Progress":
        earlier = f", {self.before} of them finished before" if self.before else ""
        print(f"{self.total} cells{earlier}", flush=True)
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def end(self, cell: Cell, ended: Ended, numbers: Mapping[str, float]) -> None:
        """Say how a cell has ended.

        Arguments:
            cell: the cell.
            ended: its end.
            numbers: those of its evaluation.
        """
        self.done += 1
        self._spent += ended.seconds
        left = self._left()
        line = line_of(cell, ended, numbers)
        line = f"[{self.done}/{self.total}] {line}{f', {left}' if left else ''}"
        if self._bar is None:
            print(line, flush=True)
        else:
            self._bar.console.print(line, markup=False, highlight=False, soft_wrap=True)
            self._bar.update(self._bar.task_ids[0], completed=self.done, left=left)

    def _left(self) -> str:
        """Return how long the other cells will take, if they take as long as those so far."""
        others = self.total - self.done
        if not others:
            return ""
        each = self._spent / (self.done - self.before)
        return f"about {clock(each * others / min(self.jobs, others))} left"


def line_of(cell: Cell, ended: Ended, numbers: Mapping[str, float]) -> str:
    """Return a cell with its main numbers and its time, or with the reason why it failed."""
    if ended.finished:
        main = [key for key in ordered(numbers) if name_of(key).main][:_NUMBERS]
        said = ", ".join(f"{name_of(key).name} {numbers[key]:.4g}" for key in main)
    else:
        said = f"failed: {ended.failure}"
    return f"{cell.name}: {said or 'no numbers'}; {clock(ended.seconds)}"


def clock(seconds: float) -> str:
    """Return a time as one reads it from a clock.

    Example:
        >>> clock(5.2), clock(83), clock(7383)
        ('0:05', '1:23', '2:03:03')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
