"""Errors: what a user's mistake looks like on the screen, at most three lines and never more."""

import sys
from collections.abc import Iterable

LINES = 3
WIDTH = 400  # of one line; longer ones hold a whole tensor or a whole file


class UsageError(ValueError):
    """A mistake on the command line or in a configuration, one line for each problem.

    Arguments:
        problems: the lines.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(self.problems))


def lines_of(error: BaseException) -> list[str]:
    """Return an error as at most three lines; the third says how many more there are.

    Example:
        >>> lines_of(UsageError(["one", "two", "three", "four"]))
        ['one', 'two', '... and 2 more problems']
    """
    notes = getattr(error, "__notes__", [])
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return [f"{error.filename}: {error.strerror}", *notes]
    text = "\n".join([str(error) or type(error).__name__, *notes])
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    if len(lines) > LINES:
        more = len(lines) - LINES + 1
        kind = "problems" if isinstance(error, UsageError) else "lines"
        lines = [*lines[: LINES - 1], f"... and {more} more {kind}"]
    return [line if len(line) <= WIDTH else f"{line[:WIDTH]} ..." for line in lines]


def report(error: BaseException) -> None:
    """Write an error to standard error, the first line led by the program's name."""
    lines = lines_of(error)
    lines[0] = f"pyrovae: {lines[0]}"
    print("\n".join(lines), file=sys.stderr)
