"""Tables: a comparison as text for a terminal, as Markdown, and as CSV, a line for each cell."""

import csv
import io
from collections.abc import Sequence

from pyrovae.comparison.baselines import MEANING
from pyrovae.comparison.numbers import NOTHING, name_of, shown
from pyrovae.comparison.plan import Row
from pyrovae.comparison.statistics import LEVEL
from pyrovae.comparison.summary import Summary

Lines = list[list[str]]  # the first one is the head


def plain_text(summary: Summary) -> str:
    """Return the main numbers and the differences, in columns."""
    parts = [_aligned(_table(summary, summary.main))]
    found = _differences(summary)
    if len(found) > 1:
        parts.append("Differences over the same seeds\n" + _aligned(found))
    parts += [_caption(summary), *_left_out(summary)]
    return "\n\n".join(parts)


def markdown(summary: Summary) -> str:
    """Return all numbers as a document with Markdown's tables."""
    parts = ["# Comparison", _caption(summary), _piped(_table(summary, summary.main))]
    found = _differences(summary)
    if len(found) > 1:
        parts += ["## Differences over the same seeds", _piped(found)]
    if summary.others:
        parts += ["## Further numbers", _piped(_table(summary, summary.others))]
    return "\n\n".join([*parts, *_left_out(summary)]) + "\n"


def csv_text(summary: Summary) -> str:
    """Return a line for each cell, with all numbers as they are in the evaluations."""
    keys = [setting.key for setting in summary.plan.varied]
    head = ["cell", "model", "baseline", *keys, "seed", "state", "seconds", *summary.keys]
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(head)
    for row in summary.plan.rows:
        values = ["" if value is None else value.text for value in row.values]
        for seed, cell in row.cells.items():
            ended = summary.ended.get(cell.name)
            state = "not run"
            if ended is not None:
                state = "finished" if ended.finished else "failed" if ended.failure else "begun"
            seconds = "" if ended is None else f"{ended.seconds:.1f}"
            found = summary.numbers.get(cell.name, {})
            numbers = [_exact(found[key]) if key in found else "" for key in summary.keys]
            name = [cell.name, row.model, row.baseline]
            writer.writerow([*name, *values, seed, state, seconds, *numbers])
    return file.getvalue()


def _exact(number: float) -> str:
    return str(int(number)) if number.is_integer() and abs(number) < 2**53 else repr(number)


def _table(summary: Summary, keys: Sequence[str]) -> Lines:
    """Return the means of numbers, a line for each row of the comparison."""
    plan = summary.plan
    named = any(row.baseline for row in plan.rows) or not plan.varied
    short = list(plan.keys.values())
    first = ["row" if "model" in short else "model"] if named else []
    lines = [[*first, *short, "n", *(name_of(key).name for key in keys)]]
    for row in plan.rows:
        n = summary.count(row)
        values = [NOTHING if value is None else value.text for value in row.values]
        numbers = []
        for key in keys:
            mean = summary.mean(row, key)
            fewer = f" (n = {mean.n})" if mean is not None and mean.n != n else ""
            numbers.append(f"{shown(mean)}{fewer}")
        name = [_row_name(row)] if named else []
        lines.append([*name, *values, str(n), *numbers])
    return lines


def _row_name(row: Row) -> str:
    return f"baseline {row.baseline}" if row.baseline else row.model


def _differences(summary: Summary) -> Lines:
    """Return the differences between rows over the same seeds."""
    found = list(summary.differences)
    keys = [key for key in summary.main if any(key in entry.means for entry in found)]
    lines = [["row", "minus", "n", *(name_of(key).name for key in keys)]]
    for entry in found:
        n = max(mean.n for mean in entry.means.values())
        numbers = []
        for key in keys:
            mean = entry.means.get(key)
            fewer = f" (n = {mean.n})" if mean is not None and mean.n != n else ""
            numbers.append(f"{shown(mean)}{fewer}")
        names = [summary.plan.called(entry.row), summary.plan.called(entry.other)]
        lines.append([*names, str(n), *numbers])
    return lines


def _caption(summary: Summary) -> str:
    """Return what the tables show, in words."""
    words = [
        f"Mean and {100 * LEVEL:.0f} % interval (Student's t) over n seeds, of "
        f"{', '.join(map(str, summary.plan.seeds))}."
    ]
    for name in dict.fromkeys(row.baseline for row in summary.plan.rows if row.baseline):
        words.append(f"{name}: {MEANING[name]}.")
    return "\n".join(words)


def _left_out(summary: Summary) -> list[str]:
    """Return which cells the means lack, a paragraph for each reason."""
    parts = []
    failed = list(summary.failed)
    if failed:
        lines = [f"  {cell.name}: {reason}" for cell, reason in failed]
        parts.append(f"Failed, and in no mean ({len(failed)}):\n" + "\n".join(lines))
    if summary.unfinished:
        names = ", ".join(cell.name for cell in summary.unfinished)
        parts.append(f"Not finished, and in no mean ({len(summary.unfinished)}): {names}")
    return parts


def _aligned(lines: Lines) -> str:
    """Return columns: what is compared to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    left = lines[0].index("n")
    return "\n".join(
        "  ".join(
            cell.ljust(width) if at < left else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _piped(lines: Lines) -> str:
    """Return a table of Markdown."""
    left = lines[0].index("n")
    rule = ["---" if at < left else "---:" for at in range(len(lines[0]))]
    safe = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in [safe[0], rule, *safe[1:]])
