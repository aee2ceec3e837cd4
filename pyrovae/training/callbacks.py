"""Callbacks: what users hang into a training run, and the two that `fit` hangs itself."""

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from pyrovae.files import append_text, write_text
from pyrovae.training.history import HISTORY, Record

if TYPE_CHECKING:
    from pyrovae.training.run import Run


class Callback:
    """Hooks into a training run, all doing nothing; a subclass fills in the ones it needs.

    A hook may read everything of the run and end it by `run.stop(reason)`. `on_step` is called
    after every step: reading a tensor there waits for the device. Of a resumed run `on_start` sees
    `run.epoch` and `run.history` as the checkpoint has them.

    Example:
        >>> class Printer(Callback):
        ...     def on_epoch(self, run, record):
        ...         print(record["epoch"], record["train/elbo"])
    """

    def on_start(self, run: "Run") -> None:
        """Before the first step."""

    def on_step(self, run: "Run") -> None:
        """After each step."""

    def on_epoch(self, run: "Run", record: Record) -> None:
        """After each epoch and its validation, with the epoch's quantities."""

    def on_end(self, run: "Run") -> None:
        """Once the run has ended and the weights to keep are in place."""


class MetricsFile(Callback):
    """One line of JSON for each epoch, written at once.

    Arguments:
        path: the file, begun anew with the epochs that a resumed run has behind it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_start(self, run: "Run") -> None:
        """Begin the file; the one that says that training has ended goes."""
        write_text(self.path, "".join(_line(record) for record in run.history.records))
        (self.path.parent / HISTORY).unlink(missing_ok=True)

    def on_epoch(self, run: "Run", record: Record) -> None:
        """Append the epoch's line; a number that JSON does not know becomes null."""
        append_text(self.path, _line(record))


class ProgressBar(Callback):
    """A bar with the epoch, the loss and the time left, on a terminal; elsewhere nothing at all."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._task = TaskID(0)

    def on_start(self, run: "Run") -> None:
        """Show the bar where the output is a terminal."""
        console = Console()
        if not console.is_terminal:
            return
        columns = ("epoch {task.fields[epoch]}", "loss {task.fields[loss]}")
        self._progress = Progress(
            TextColumn(columns[0]),
            BarColumn(),
            TextColumn(columns[1]),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._task = self._progress.add_task(
            "",
            total=run.planned_steps,
            completed=run.step,
            epoch=f"{run.epoch + 1}/{run.epochs}",
            loss="..." if run.compiled is None else "... (compiling the step)",
        )
        self._progress.start()

    def on_step(self, run: "Run") -> None:
        """Move the bar."""
        if self._progress is not None:
            self._progress.advance(self._task)

    def on_epoch(self, run: "Run", record: Record) -> None:
        """Show the epoch and its loss, validated where there is validation."""
        if self._progress is not None:
            loss = record.get("valid/loss", record["train/loss"])
            epoch = f"{min(run.epoch + 1, run.epochs)}/{run.epochs}"
            self._progress.update(self._task, epoch=epoch, loss=f"{loss:.2f}")

    def on_end(self, run: "Run") -> None:
        """Take the bar away."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


def _line(record: Record) -> str:
    finite = {name: value if math.isfinite(value) else None for name, value in record.items()}
    return json.dumps(finite) + "\n"
