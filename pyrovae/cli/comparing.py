"""Comparing: a comparison from its words to its tables."""

import math
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from pyrovae.cli.cells import Cells, locked
from pyrovae.cli.errors import UsageError
from pyrovae.cli.flags import Flags
from pyrovae.cli.notes import notes
from pyrovae.cli.progress import Progress
from pyrovae.cli.varying import Reader
from pyrovae.comparison import (
    Plan,
    Summary,
    Varied,
    baselines,
    csv_text,
    draw,
    evaluated,
    lay_out,
    markdown,
    plain_text,
    summarise,
)
from pyrovae.comparison.folder import prepare, read_ended, require_same, run_folder, state_of
from pyrovae.files import make_folder, write_text

DOCUMENT, TABLE, FIGURE = "table.md", "table.csv", "figure.png"
FAILED = 1  # a cell has; the others are there
MOST = 10_000  # runs; more of them are a mistake


def compare(
    flags: Flags,
    varied: Sequence[Varied],
    seeds: Sequence[int],
    *,
    out: str | None,
    jobs: int,
    allow: Sequence[str],
    with_baselines: bool,
) -> int:
    """Run a comparison, or what is left of it, and write its tables and its figure.

    Arguments:
        flags: the settings that all cells share.
        varied: what is varied.
        seeds: the seeds of each row.
        out: the folder that was asked for.
        jobs: how many cells run side by side.
        allow: packages beside pyrovae whose classes may be named.
        with_baselines: whether models with a classifier have baselines beside them.

    Returns:
        0, or 1 where a cell failed.
    """
    count = math.prod(len(setting.values) for setting in varied) * len(seeds)
    if count > MOST:
        raise UsageError([f"--vary: {count} runs are too many; a comparison has at most {MOST}"])
    if not any(flag == "report" for flag, _ in flags.values):
        flags.values.append(("report", "false"))
    reader = Reader(flags, varied, allow=allow)
    with notes():
        plan = lay_out(
            varied,
            seeds,
            read=reader.read,
            seeded=reader.seeded,
            baselines=lambda tree: baselines(tree, allow=allow) if with_baselines else {},
            checked=reader.checked,
        )
        source = next(iter(reader.sources.values()))
        folder = Path(out or f"runs/compare-{source.short_name}").expanduser()
        require_same(folder, plan)
        reader.load(plan)
    for said in reader.said:
        print(said)
    make_folder(folder)
    with locked(folder) as lock:
        require_same(folder, plan)
        prepare(folder, plan)
        cells = Cells(folder, jobs=jobs, allow=allow, lock=lock)
        try:
            _run(cells, plan)
        except KeyboardInterrupt as interrupt:
            _write(_summary(folder, plan), folder)
            raise KeyboardInterrupt(
                f"; the same command goes on, and {folder / DOCUMENT} has what there is"
            ) from interrupt
        summary = _summary(folder, plan)
        _write(summary, folder)
    print(f"\n{plain_text(summary)}\n")
    print(f"{folder / DOCUMENT} has all numbers, {folder / TABLE} those of each cell")
    if (folder / FIGURE).is_file():
        print(f"{folder / FIGURE} shows them; the runs are in {folder / 'cells'}")
    return FAILED if any(summary.failed) else 0


def _run(cells: Cells, plan: Plan) -> None:
    """Run the cells that are not finished, with a line for each that ends."""
    every = list(plan.cells)
    left = [cell for cell in every if state_of(cells.folder, cell) != "finished"]
    done = len(every) - len(left)
    progress = Progress(total=len(every), done=done, jobs=cells.jobs)
    with progress, closing(cells.run(left)) as ends:
        for cell, ended in ends:
            found = evaluated(run_folder(cells.folder, cell)) if ended.finished else {}
            progress.end(cell, ended, found)


def _summary(folder: Path, plan: Plan) -> Summary:
    """Return what has come out so far."""
    ended, numbers = {}, {}
    for cell in plan.cells:
        state, end = state_of(folder, cell), read_ended(folder, cell)
        if state != "new" or end.failure:  # what failed at once has left no run
            ended[cell.name] = end
        if state == "finished":
            numbers[cell.name] = evaluated(run_folder(folder, cell))
    return summarise(plan, ended, numbers)


def _write(summary: Summary, folder: Path) -> None:
    """Write the tables and the figure."""
    write_text(folder / DOCUMENT, markdown(summary))
    write_text(folder / TABLE, csv_text(summary))
    draw(summary, folder / FIGURE)
